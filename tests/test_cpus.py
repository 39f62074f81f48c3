"""Processors by name: the vendors' own figures, and no model where a name tells none."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from eco2ai_cli import cpus

# Brand strings as /proc/cpuinfo or SMBIOS have them, with the TDP on the vendor's product page.
VENDORS_OWN = [
    ("Intel(R) Xeon(R) CPU E5-2680 v4 @ 2.40GHz", 120),
    ("Intel(R) Xeon(R) CPU E5-2670 0 @ 2.60GHz", 115),
    ("Intel(R) Xeon(R) CPU E5-2670 v2 @ 2.50GHz", 115),
    ("Intel(R) Xeon(R) CPU E5-2699A v4 @ 2.40GHz", 145),
    ("Intel(R) Xeon(R) CPU E7- 4870  @ 2.40GHz", 130),
    ("Intel(R) Xeon(R) CPU E7-L8867  @ 2.13GHz", 105),
    ("Intel(R) Xeon(R) CPU E31230 @ 3.20GHz", 80),
    ("Intel(R) Xeon(R) CPU E3-1265L V2 @ 2.50GHz", 45),
    ("Intel(R) Xeon(R) CPU           X5650  @ 2.67GHz", 95),
    ("Intel(R) Xeon(R) CPU D-1541 @ 2.10GHz", 45),
    ("Intel(R) Xeon(R) Silver 4410Y", 150),
    ("Intel(R) Xeon(R) Gold 6248R CPU @ 3.00GHz", 205),
    ("INTEL(R) XEON(R) GOLD 6554S", 270),
    ("Intel(R) Xeon(R) Platinum 8380H CPU @ 2.90GHz", 250),
    ("Intel(R) Xeon(R) Platinum 8480+", 350),
    ("INTEL(R) XEON(R) PLATINUM 8592+", 350),
    ("Intel(R) Xeon(R) 6780E", 330),
    ("Intel(R) Xeon(R) 6980P", 500),
    ("Intel(R) Xeon(R) CPU Max 9480", 350),
    ("Intel(R) Xeon(R) W-2295 CPU @ 3.00GHz", 165),
    ("Intel(R) Xeon(R) w9-3495X", 350),
    ("Intel(R) Xeon(R) E-2176M  CPU @ 2.70GHz", 45),
    ("Intel(R) Xeon Phi(TM) CPU 7250 @ 1.40GHz", 215),
    ("Intel(R) Core(TM) i7-8550U CPU @ 1.80GHz", 15),
    ("Intel(R) Core(TM) i7-6700 CPU @ 3.40GHz", 65),
    ("Intel(R) Core(TM) i7-6700K CPU @ 4.00GHz", 91),
    ("Intel(R) Core(TM) i7-6700T CPU @ 2.80GHz", 35),
    ("12th Gen Intel(R) Core(TM) i9-12900K", 125),
    ("13th Gen Intel(R) Core(TM) i9-13900HX", 55),
    ("Intel(R) Core(TM) Ultra 7 258V", 17),
    ("Intel(R) Core(TM) Ultra 9 285K", 125),
    ("Intel(R) Core(TM) i7 CPU       Q 720  @ 1.60GHz", 45),
    ("Intel(R) Core(TM) i7 CPU       X 980  @ 3.33GHz", 130),
    ("Intel(R) Core(TM) i5 CPU       M 540  @ 2.53GHz", 35),
    ("Intel(R) Core(TM) i7 CPU         920  @ 2.67GHz", 130),
    ("Intel(R) Core(TM)2 CPU          6600  @ 2.40GHz", 65),
    ("Intel(R) Core(TM)2 Extreme CPU Q9300  @ 2.53GHz", 45),
    ("Intel(R) Core(TM)2 Quad CPU    Q6600  @ 2.40GHz", 105),
    ("Intel(R) Core(TM) i3-N305", 15),
    ("Intel(R) N100", 6),
    ("Intel(R) Pentium(R) Gold G6400 CPU @ 4.00GHz", 58),
    ("Pentium(R) Dual-Core  CPU      E6700  @ 3.20GHz", 65),
    ("Intel(R) Celeron(R) J4125 CPU @ 2.00GHz", 10),
    ("Intel(R) Atom(TM) CPU C3758 @ 2.20GHz", 25),
    ("AMD EPYC 7742 64-Core Processor", 225),
    ("AMD EPYC 7763 64-Core Processor", 280),
    ("AMD EPYC 9654 96-Core Processor", 360),
    ("AMD EPYC 9965 192-Core Processor", 500),
    ("AMD Ryzen 5 3600 6-Core Processor", 65),
    ("AMD Ryzen 7 5800X3D 8-Core Processor", 105),
    ("AMD Ryzen 9 7950X 16-Core Processor", 170),
    ("AMD Ryzen 7 PRO 7840U w/ Radeon 780M Graphics", 28),
    ("AMD Ryzen AI 9 HX 370 w/ Radeon 890M", 28),
    ("AMD RYZEN AI MAX+ 395 w/ Radeon 8060S", 55),
    ("AMD Ryzen Threadripper PRO 5995WX 64-Cores", 280),
    ("AMD Athlon(tm) X4 860K Quad Core Processor", 95),
    ("AMD FX(tm)-8350 Eight-Core Processor", 125),
    ("AMD A10-7850K Radeon R7, 12 Compute Cores 4C+8G", 95),
    ("AMD PRO A12-8870 R7, 12 COMPUTE CORES 4C+8G", 65),
    ("AMD Opteron(tm) Processor 6380", 115),
    ("Ampere(R) Altra(R) Max Processor M128-30", 250),
]


@pytest.mark.parametrize(("brand", "tdp_w"), VENDORS_OWN, ids=[b for b, _ in VENDORS_OWN])
def test_a_brand_string_has_its_vendors_tdp(brand: str, tdp_w: float) -> None:
    found = cpus.lookup(brand)
    assert found.model is not None
    assert (found.tdp_w, found.matched_by, found.quality) == (tdp_w, "name", "vendor")
    assert found.threads is not None
    assert found.w_per_thread == tdp_w / found.threads


@pytest.mark.parametrize(
    ("brand", "tdp_w", "threads"),
    [  # figures by the clouds' disclosures and by catalogues; instances of metal show the threads
        ("Intel(R) Xeon(R) Platinum 8275CL CPU @ 3.00GHz", 240, 48),
        ("Intel(R) Xeon(R) Platinum 8370C CPU @ 2.80GHz", 270, 64),
        ("Intel(R) Xeon(R) CPU E5-2686 v4 @ 2.30GHz", 145, 36),
        ("AMD EPYC 7R32", 280, 96),
        ("AMD EPYC 7R13 Processor", 225, 96),
    ],
)
def test_a_part_made_for_a_cloud_is_found_as_such(brand: str, tdp_w: float, threads: int) -> None:
    found = cpus.lookup(brand)
    assert (found.tdp_w, found.threads, found.matched_by) == (tdp_w, threads, "cloud-sku")


def test_a_clouds_figure_that_was_derived_is_not_called_better() -> None:
    assert cpus.lookup("AMD EPYC 9B45 128-Core Processor").quality == "derived"


NO_MODEL = [
    *("", " ", "0", "unknown", "None", "N/A", "CPU", "x86_64", "aarch64", "i686", "💻", "\0" * 48),
    *("Intel", "AMD", "GenuineIntel", "AuthenticAMD", "Not Specified", "To Be Filled By O.E.M."),
    *("Intel(R) Xeon(R) CPU @ 2.20GHz", "Intel(R) Xeon(R) Processor @ 2.70GHz", "Xeon", "EPYC"),
    *(
        "AMD EPYC",
        "AMD EPYC Processor",
        "AMD EPYC Processor (with IBPB)",
        "AMD EPYC-Rome Processor",
    ),
    *("QEMU Virtual CPU version 2.5+", "Common KVM processor", "Virtual CPU 82d9ed4018dd"),
    *("Intel Xeon Processor (Skylake, IBRS)", "Intel Core Processor (Haswell, no TSX)"),
    *("Intel Xeon E312xx (Sandy Bridge)", "Westmere E56xx/L56xx/X56xx (Nehalem-C)"),
    *("AMD Opteron 240 (Gen 1 Class Opteron)", "AMD Opteron 63xx class CPU"),
    *("Intel Core 2 Duo P9xxx (Penryn Class Core 2)", "VirtualApple @ 2.50GHz processor"),
    *("Genuine Intel(R) CPU 0000 @ 2.40GHz", "AMD Eng Sample: 100-000000314-02_30/16_N"),
    *("Intel(R) Core(TM) i7 CPU", "Intel(R) Core(TM)2 Duo CPU     E4", "Intel(R) Core(TM) i7-87"),
    *(
        "Intel(R) Celeron(R) CPU 42",
        "AMD Turion(tm) 64 X2 Mobile TL",
        "AMD Athlon 64",
        "AMD Ryzen 7",
    ),
    *("Intel(R) Pentium(R) 4 CPU 3.00GHz", "Intel(R) Xeon(TM) CPU 3.20GHz", "3.00GHz", "1234"),
    *("ARMv8 Processor rev 1 (v8l)", "Neoverse-N1", "POWER9, altivec supported", "rv64imafdc"),
    *("key", "vendor", "model", "M1", "300", "C-50", "A12", "i7", "v4", "64", "Intel 2140"),
    *("Intel(R) Core(TM) i7-99999X CPU @ 9.99GHz", "AMD EPYC 7ZZ9", "Intel(R) Core(TM) i5-"),
]


@pytest.mark.parametrize("name", NO_MODEL)
def test_a_name_without_a_model_gets_none(name: str) -> None:
    found = cpus.lookup(name)
    assert found.model is None
    assert found.matched_by in ("hypervisor", "cpuid", "fallback")
    assert found.quality in ("derived", "fallback")
    assert 1 <= found.w_per_thread < 50


@pytest.mark.parametrize(
    "name",
    [
        *("AMD Core i7-8700K", "Intel Ryzen 7 5800X", "Intel EPYC 7763", "AMD Xeon E5-2680 v4"),
        *("Intel Core i5-8550U", "Xeon Gold 8175M", "Opteron 9650", "AMD Phenom i7-920"),
    ],
)
def test_a_name_that_contradicts_itself_gets_no_model(name: str) -> None:
    assert cpus.lookup(name).model is None


def test_a_name_that_contradicts_the_cpuid_vendor_gets_no_model() -> None:
    brand = "Intel(R) Xeon(R) CPU E5-2680 v4 @ 2.40GHz"
    assert cpus.lookup(brand, vendor="GenuineIntel").model == "Xeon E5-2680 v4"
    assert cpus.lookup(brand, vendor="AuthenticAMD").model is None


@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("i7-8550U", "Core i7-8550U"),
        ("i7 8550U", "Core i7-8550U"),
        ("intel core i7 8550u", "Core i7-8550U"),
        ("E5-2680 v4", "Xeon E5-2680 v4"),
        ("epyc 7763", "EPYC 7763"),
        ("Ryzen PRO 7 7840U", "Ryzen 7 PRO 7840U"),
        ("Genuine Intel(R) CPU           T2300  @ 1.66GHz", "Core Duo T2300"),
        ("Genuine Intel(R) CPU           T2350  @ 1.86GHz", "Core Duo T2350"),
        ("Genuine Intel(R) CPU           T1400  @ 1.83GHz", "Core Solo T1400"),
        ("Genuine Intel(R) CPU           T2060  @ 1.60GHz", "Pentium T2060"),
        ("Intel(R) Core(TM)2 Duo CPU     U9400  @ 1.40GHz", "Core 2 Duo SU9400"),
        ("AMD Phenom(tm) 9650 Quad-Core Processor", "Phenom X4 9650"),
        ("AMD Turion(tm) 64 X2 Mobile TL50", "Turion TL-50"),
        ("Intel(R) CoreT i7-8550U", "Core i7-8550U"),
        ("Apple M1 Max", "M1 Max"),
    ],
)
def test_a_model_is_found_as_people_and_old_firmware_write_it(name: str, model: str) -> None:
    assert cpus.lookup(name).model == model


def test_a_number_that_two_families_have_tells_neither() -> None:
    assert cpus.lookup("Core 2 Duo E6600").model == "Core 2 Duo E6600"
    assert cpus.lookup("Pentium E6600").model == "Pentium E6600"
    assert cpus.lookup("Genuine Intel(R) CPU E6600").model is None
    assert cpus.lookup("T1400").model is None  # a Core Solo and a Celeron


@pytest.mark.parametrize(
    "names",
    [
        ("Ryzen 7 3700X", "Ryzen 7 3700C", "Ryzen 7 3700U"),
        ("Core i7-6700", "Core i7-6700K", "Core i7-6700T", "Core i7-6700HQ"),
        ("Xeon E5-2670", "Xeon E5-2670 v2", "Xeon E5-2670 v3"),
        ("M1", "M1 Pro", "M1 Max", "M1 Ultra"),
    ],
)
def test_suffixes_tell_models_apart(names: tuple[str, ...]) -> None:
    vendor = {"R": "AMD", "M": "Apple"}.get(names[0][0], "Intel")
    found = [cpus.lookup(f"{vendor} {name}").model for name in names]
    assert found == list(names)


def test_every_model_is_found_by_its_own_name() -> None:
    missed = [
        model.model
        for model in cpus.models()
        if cpus.lookup(f"{model.vendor} {model.model}")[1:] != model[1:]
    ]
    assert missed == []


def test_a_hypervisors_name_is_charged_like_its_generation() -> None:
    found = cpus.lookup("Intel Xeon Processor (Cascadelake)")
    assert (found.matched_by, found.quality) == ("hypervisor", "derived")
    assert found.stands_for == "Xeon Platinum 8259CL"
    assert found.w_per_thread == 210 / 48


@pytest.mark.parametrize(
    ("clock", "numbers", "like"),
    [  # Google's platforms, by their clock and CPUID
        ("2.20GHz", (6, 79, 0), "Xeon E5-2699 v4"),
        ("2.20GHz", (6, 85, 7), "Xeon Platinum 8273CL"),
        ("2.00GHz", (6, 85, 3), "Xeon Platinum 8173M"),
        ("2.70GHz", (6, 143, 8), "Xeon Platinum 8480+"),
    ],
)
def test_a_name_that_is_a_clock_is_told_by_the_cpuid(
    clock: str, numbers: tuple[int, int, int], like: str
) -> None:
    family, model, stepping = numbers
    found = cpus.lookup(
        f"Intel(R) Xeon(R) CPU @ {clock}",
        vendor="GenuineIntel",
        family=family,
        model=model,
        stepping=stepping,
    )
    assert (found.model, found.stands_for, found.matched_by) == (None, like, "cpuid")


def test_steppings_tell_generations_of_one_model_number_apart() -> None:
    def like(stepping: int) -> str | None:
        return cpus.lookup(
            "", vendor="GenuineIntel", family=6, model=85, stepping=stepping
        ).stands_for

    skylake, cascade_lake, cooper_lake = like(4), like(7), like(11)
    assert len({skylake, cascade_lake, cooper_lake}) == 3


@pytest.mark.parametrize(
    ("name", "form", "w_per_thread"),
    [
        ("Intel(R) Xeon(R) Processor", None, 3.8),
        ("AMD EPYC", None, 2.0),
        ("", "desktop", 5.4),
        ("", "laptop", 2.3),
        ("", None, 3.5),
    ],
)
def test_what_is_not_known_is_charged_as_is_usual(
    name: str, form: str | None, w_per_thread: float
) -> None:
    found = cpus.lookup(name, form=form)
    assert (found.w_per_thread, found.matched_by) == (w_per_thread, "fallback")
    assert (found.model, found.tdp_w, found.threads) == (None, None, None)


def _lacks_a_number_of(found: cpus.Match, text: str) -> bool:
    """Whether a model was told from a text without its number, `X2` and `i7` aside."""
    digits = re.sub(r"\D", "", text)
    return any(number not in digits for number in re.findall(r"\d\d+", found.model or ""))


def test_a_book_is_no_name() -> None:
    assert cpus.lookup("i7-99 " * 100_000).model is None


@given(st.text(max_size=64))
@example("Intel(R) Core(TM) i7-8550U CPU @ 1.80GHz")
def test_no_text_breaks_a_look_up_or_is_given_a_number_that_it_lacks(text: str) -> None:
    found = cpus.lookup(text)
    assert not _lacks_a_number_of(found, text)


KNOWN = [model for model in cpus.models() if re.search(r"\d{3}", model.model or "")]


@given(st.sampled_from(KNOWN), st.integers(0, 63), st.sampled_from("0123456789xyzQ"))
def test_one_wrong_character_never_gives_another_number(
    known: cpus.Match, place: int, character: str
) -> None:
    name = f"{known.vendor} {known.model}"
    place %= len(name)
    changed = name[:place] + character + name[place + 1 :]
    found = cpus.lookup(changed)
    assert not _lacks_a_number_of(found, changed)
    assert found.model is None or found.vendor == known.vendor
