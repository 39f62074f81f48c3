"""What a command line loses before it is kept: secrets, and as little as can be beside them."""

from __future__ import annotations

import json
import os
import shlex
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ledger_rows import ROOT, rows_of

from eco2ai_cli.redaction import REDACTED, command_line, redacted

SECRET = "hunter2-Zq9"

HELD_BY = [
    "python train.py --password hunter2-Zq9",
    "python train.py --password=hunter2-Zq9",
    "python train.py --db_password hunter2-Zq9 --lr 1",
    "java -jar x.jar -password hunter2-Zq9",
    "x --passwd hunter2-Zq9",
    "x --dbPassword=hunter2-Zq9",
    "x --token hunter2-Zq9",
    "x --hf-token=hunter2-Zq9",
    "x --use_auth_token hunter2-Zq9",
    "x --apiKey hunter2-Zq9",
    "x --wandb_api_key=hunter2-Zq9",
    "x --client-secret hunter2-Zq9",
    "x --pass hunter2-Zq9",
    "x --auth hunter2-Zq9",
    "x --pwd hunter2-Zq9 --creds=hunter2-Zq9 --slack-webhook hunter2-Zq9",
    "x --api-keys hunter2-Zq9,hunter2-Zq9 --passwords=hunter2-Zq9 --secrets hunter2-Zq9",
    "keytool -storepass hunter2-Zq9 -keypass hunter2-Zq9",
    "x https://hooks.slack.com/services/T0/B0/hunter2-Zq9",
    "token=hunter2-Zq9",
    "env WANDB_API_KEY=hunter2-Zq9 python train.py",
    "env HF_TOKEN=hunter2-Zq9 AWS_SECRET_ACCESS_KEY=hunter2-Zq9 python train.py",
    "env DB_PASS=hunter2-Zq9 PGPASSWORD=hunter2-Zq9 MYSQL_PWD=hunter2-Zq9 x",
    "env PASSWORD2=hunter2-Zq9 x",
    "docker run -e OPENAI_API_KEY=hunter2-Zq9 image",
    "docker run --env=OPENAI_API_KEY=hunter2-Zq9 image",
    "python train.py trainer.logger.api_key=hunter2-Zq9 +wandb.token=hunter2-Zq9",
    "curl -H 'Authorization: Bearer hunter2-Zq9' x",
    "curl -H 'authorization: Basic hunter2-Zq9' x",
    "curl -H Authorization:hunter2-Zq9 x",
    "curl -H 'Proxy-Authorization: token hunter2-Zq9' x",
    "curl -H 'X-Api-Key: hunter2-Zq9' x",
    "curl -H 'X-Auth-Token: hunter2-Zq9' x",
    "curl -H 'X-API-KEY: hunter2-Zq9' x",
    "curl -H X-API-KEY:hunter2-Zq9 x",
    "curl -H 'PRIVATE-TOKEN:hunter2-Zq9' x",
    "env AZURE_STORAGE_KEY=hunter2-Zq9 OPENAI_KEY=hunter2-Zq9 x",
    "x 'Server=db;User Id=me;Password=hunter2-Zq9;Timeout=3'",
    "x --header=Authorization:\\ Bearer\\ hunter2-Zq9",
    "x --auth=me:hunter2-Zq9",
    "curl -H 'Cookie: session=hunter2-Zq9; b=hunter2-Zq9' x",
    "x 'bearer hunter2-Zq9hunter2-Zq9'",
    "git clone https://me:hunter2-Zq9@host/repo.git",
    "git clone https://hunter2-Zq9:x-oauth-basic@host/repo.git",
    "git clone https://hunter2-Zq9hunter2-Zq9@host/repo.git",
    "x postgres://me:hunter2-Zq9@db:5432/x?sslmode=require",
    "x redis://:hunter2-Zq9@cache",
    "x --db=postgres://me:hunter2-Zq9@db/x",
    "x 'mysql://me:p@ss@hunter2-Zq9@db/x'",
    "curl 'https://host/x?token=hunter2-Zq9&page=2'",
    "curl 'https://host/x?page=2&access_token=hunter2-Zq9'",
    "curl 'https://host/blob?sv=2020&sig=hunter2-Zq9&se=1'",
    "curl 'https://host/x?X-Amz-Signature=hunter2-Zq9&X-Amz-Credential=hunter2-Zq9'",
    "x 'AccountName=me;AccountKey=hunter2-Zq9;EndpointSuffix=core'",
    "bash -c 'export HF_TOKEN=hunter2-Zq9; python train.py'",
    "bash -c 'HF_TOKEN=\"hunter2-Zq9 hunter2-Zq9\" python train.py'",
    "bash -c 'python train.py --password hunter2-Zq9 --lr 3'",
    "bash -c 'docker run -e WANDB_API_KEY=hunter2-Zq9 image && x --token=hunter2-Zq9'",
    "bash -c 'cd /tmp\nexport PASSWORD=hunter2-Zq9\nx'",
    "bash -c 'x --env TOKEN=hunter2-Zq9'",
    """python -c 'login(token="hunter2-Zq9")'""",
    """python -c 'api_key = "hunter2-Zq9"'""",
    """x --config '{"lr": 1, "api_key": "hunter2-Zq9", "n": 2}'""",
    r"""x "{\"api_key\": \"hunter2-Zq9 hunter2-Zq9\"}" """,
    """x "{'password': 'hunter2-Zq9'}" """,
    "x --password=--hunter2-Zq9",
    "x --password 'hunter2-Zq9 with spaces'",
]


@pytest.mark.parametrize("line", HELD_BY)
def test_secret_behind_a_name_goes_and_nothing_else_does(line: str) -> None:
    before = shlex.split(line)
    after = redacted(before)
    assert SECRET not in " ".join(after)
    assert REDACTED in " ".join(after)
    assert len(after) == len(before)
    untouched = [word for word in before if SECRET not in word]
    assert [word for word in after if REDACTED not in word] == untouched


# Made up, in the shapes that the makers document; put together here so that no scanner of
# repositories takes them for real ones.
SHAPES = [
    "AKIA" + "IOSFODNN7EXAMPLE",
    "ASIA" + "IOSFODNN7EXAMPLE",
    "hf_" + "aBcDeFgHiJkLmNoPqRsTuVwXyZ01234567",
    "ghp_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8",
    "gho_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8",
    "github_pat_" + "11ABCDEFG0aBcDeFgHiJkL_mNoPqRsTuVwXyZ",
    "glpat-" + "a1B2c3D4e5F6g7H8i9J0",
    "sk-" + "a1B2c3D4e5F6g7H8i9J0T3BlbkFJa1B2c3D4e5F6",
    "sk-proj-" + "a1B2c3D4e5F6_g7H8i9J0T3BlbkFJa1B2c3D4e5F6",
    "sk-ant-api03-" + "a1B2c3D4-e5F6g7H8_i9J0k1L2m3N4o5P6",
    "xoxb-" + "123456789012-a1B2c3D4e5F6",
    "AIza" + "SyA1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6Q",
    "npm_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8",
    "nvapi-" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8",
    "eyJhbGciOiJIUzI1NiJ9." + "eyJzdWIiOiIxMjM0NTY3ODkwIn0." + "dozjgNryP4J3jVmNHl0w5N_XgL0n3I9P",
]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("around", ["{}", "--x={}", "x,{},y", "https://host/{}/x", "echo {} | x"])
def test_secret_goes_by_its_shape_wherever_it_stands(shape: str, around: str) -> None:
    (after,) = redacted([around.format(shape)])
    assert shape not in after
    assert shape[-10:] not in after
    assert after.startswith(around.partition("{}")[0])


def test_private_key_goes() -> None:
    text = "-----BEGIN RSA PRIVATE KEY-----\nMIIEabc\nDEF=\n-----END RSA PRIVATE KEY-----\n"
    assert "MIIE" not in redacted([text])[0]


ORDINARY = [
    "python train.py --lr 3e-4 --epochs 10 --batch-size 32",
    "python train.py --tokenizer bert --max-tokens 512 --token-type-ids --key-frames 3 author=bob",
    "python train.py --max_new_tokens 512 --pad-token '<pad>' --eos_token '</s>' --bos-token='<s>'",
    "python train.py --mask-token '[MASK]' --unk_token [UNK] --stop-token x --padToken y",
    "python train.py --num-tokens=5 --tokens-per-batch 4096 --tokenizer_name=gpt2 --per-token x",
    "python train.py --use-auth-token --push-to-hub --use_auth_token True --token false",
    "python train.py --decoder-start-token 2 --token 17",
    "python train.py model.tokenizer=gpt2 data.key=loss monitor_key=val_loss +key=x key_metric=f1",
    "python train.py --sort-key length --key value --keyboard us --hotkey x --keys a,b",
    "python -m torch.distributed.run --nproc_per_node 8 --rdzv_endpoint host:29500 train.py",
    "accelerate launch --main_process_port 29500 train.py --author bob --authors a,b",
    "ffmpeg -i in.mp4 -pass 2 -passlogfile x --pass 1 out.mp4",
    "x --two-pass yes --bypass cache --compass north --passes 3 --passthrough a",
    "psql --no-password mydb -p 5432 -U me",
    "make -j8 PASS=3 pwd=/tmp",
    "env SORT_KEY=name MONKEY=x KEY=x CACHE_KEY=5 x",
    "x --prompt 'next token: hello' --text 'password: see the manual'",
    "env PWD=/tmp OLDPWD=/x CUDA_VISIBLE_DEVICES=0,1 python train.py",
    "x --password-file /run/secrets/db --token-file=/run/t --secretary bob --key-file k.pem",
    "curl -s -o /dev/null -u https://host:8080/path?page=2&sort=key",
    "ssh -p 22 git@host 'cd x; make'",
    "git clone ssh://git@github.com/x/y.git",
    "rsync -a me@host:/data/ s3://bucket/key/part",
    "x http://[::1]:8080/ 10.0.0.1:80 12:30:45 a:b@c",
    "python -c 'tok.pad_token = tok.eos_token; print(len(tok.tokens))'",
    "python -c 'if token == 5: pass; x = lambda key: key'",
    "python -c 'for token in tokens: print(token)'",
    "x --prompt 'The secret: never give up. What is a token, and how do passwords work?'",
    "x --prompt 'bearer of bad news; my password is long' --title 'Basic auth explained'",
    "x sk-learn-baseline-for-the-long-run-2024 hf_hub ghp task-force risk-models-2024",
    "python hf_finetune_llama_on_two_gpus.py --run npm_a_long_name_of_an_experiment",
    "python dapi_benchmark_of_all_our_tables.py --out r8_resnet_of_eight_blocks_and_more",
    "env PWD=/home/me x --sacred x --pass-through x",
    "x eyJ dapi_x npm_config AKIA asia 0123456789abcdef0123456789abcdef01234567",
    "x --signature forward --sigma 3 sig=3 design=x weights=light",
    "--password",
    "--password --verbose",
    "x --password= --token=",
    "",
]


@pytest.mark.parametrize("line", ORDINARY)
def test_ordinary_commands_stay_as_they_are(line: str) -> None:
    assert redacted(shlex.split(line)) == shlex.split(line)


@given(st.lists(st.text()))
def test_any_words_are_taken_and_their_number_stays(words: list[str]) -> None:
    after = redacted(words)
    assert len(after) == len(words)
    assert redacted(after) == after


@given(
    prefix=st.text(max_size=20),
    name=st.sampled_from(["--password", "HF_TOKEN", "api_key", "x.client_secret"]),
)
def test_no_text_before_it_hides_a_secret(prefix: str, name: str) -> None:
    assert SECRET not in redacted([f"{prefix} {name}={SECRET}"])[0]


@pytest.mark.parametrize(
    "unit",
    [
        "token",
        "token ",
        'token="',
        "token='",
        'token=\\"',
        "password=",
        "a",
        " ",
        "eyJ",
        "https://",
        "sk-",
        '\\"',
        "x@",
        "-",
    ],
)
def test_a_command_line_as_long_as_linux_takes_costs_no_more_than_it_must(unit: str) -> None:
    text = unit * (2**20 // len(unit))
    start = time.process_time()
    redacted([text, f"token {text}", f"token= {text}", f"a@{text}"])
    assert time.process_time() - start < 5  # what is quadratic takes an hour


def test_command_is_kept_whole_or_in_part_or_not(tmp_path: Path) -> None:
    argv = (b"my prog", b"--token", b"abc", b"\xff")
    assert command_line(argv, "full") == "'my prog' --token REDACTED '\udcff'"
    assert command_line(argv, "program") == "'my prog'"
    assert command_line(argv, "none") is None
    assert command_line((b"https://a:b@host/x",), "program") == "https://REDACTED@host/x"


@pytest.mark.parametrize(
    ("keep", "kept"),
    [("full", "env HF_TOKEN=REDACTED true"), ("program", "env"), ("none", None)],
)
def test_no_file_and_no_screen_of_a_run_shows_the_secret(
    tmp_path: Path, keep: str, kept: str | None
) -> None:
    files = ["run", "--json", "r.json", "--trace", "t.jsonl"]
    done = subprocess.run(
        [sys.executable, "-m", "eco2ai_cli", *files, "--", "env", f"HF_TOKEN={SECRET}", "true"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "ECO2AI_LEDGER_COMMAND": keep},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0
    assert done.stdout == ""
    (row,) = rows_of(tmp_path / "emission.csv")
    assert row["command"] == (kept or "")
    assert json.loads((tmp_path / "r.json").read_text())["command"] == kept
    state = Path(os.environ["XDG_STATE_HOME"])
    written = [p for folder in (tmp_path, state) for p in folder.rglob("*") if p.is_file()]
    assert SECRET not in done.stderr + "".join(p.read_text(errors="replace") for p in written)


def test_journal_of_a_run_under_way_holds_neither_secrets_nor_the_key(tmp_path: Path) -> None:
    (tmp_path / "k").write_text("5d7a" * 16)
    (tmp_path / "k").chmod(0o600)
    look = (
        'until find "$XDG_STATE_HOME" -type f 2>/dev/null | grep -q .; do sleep 0.01; done; '
        'grep -rq -e "$1" -e "$(cat k)" "$XDG_STATE_HOME"; test $? = 1'
    )
    argv = ["sh", "-c", look, "--password", SECRET]
    done = subprocess.run(
        [sys.executable, "-m", "eco2ai_cli", "run", "-q", "--", *argv],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "ECO2AI_LEDGER_KEY": "k"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_ledger_is_made_with_the_umask_and_the_state_for_its_user_alone(tmp_path: Path) -> None:
    subprocess.run(
        ["sh", "-c", 'umask 027; "$0" -m eco2ai_cli run -q -- sleep 0.2', sys.executable],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=True,
    )
    assert stat.S_IMODE((tmp_path / "emission.csv").stat().st_mode) == 0o640
    state = Path(os.environ["XDG_STATE_HOME"]) / "eco2ai"
    assert stat.S_IMODE(state.stat().st_mode) == 0o700
