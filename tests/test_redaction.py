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


# -- what people who train models type: with a secret, and without one

S = "q7Rk2mZx9Wv4Lt8Bn3Pd"
HEX = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b"

WITH_A_SECRET = [
    f"python api.py --jwt {S}",
    f"python api.py --jwt={S}",
    f"python push.py --pat {S}",
    f"python push.py --github-pat {S}",
    f"env GITHUB_PAT={S} AZURE_DEVOPS_EXT_PAT={S} make",
    f"env AUTH_JWT={S} python serve.py",
    f"python eval.py --openai-key {S}",
    f"python eval.py --openai_key={S} --model gpt-4o --max-tokens 512",
    f"python eval.py --anthropic-key {S} --judge claude",
    f"python eval.py --hf_key {S}",
    f"python eval.py --wandb-key={S} --project vision",
    f"python eval.py --openaiKey {S}",
    f"python crawl.py --my-service-key {S}",
    f"python crawl.py --eval-key {S}",
    f"env GROQ_KEY={S} COHERE_KEY={S} python chat.py",
    f"env WANDB_API_KEY={HEX} torchrun train.py",
    f"curl -u me:{S} https://host/api",
    f"curl -sSfu me:{S} https://host/api",
    f"curl -ume:{S} https://host/api",
    f"curl --user me:{S} -X POST https://host/api",
    f"curl -x proxy:3128 -U me:{S} https://host/api",
    f"curl -s --proxy-user 'me:{S}' https://host/api",
    f"/usr/bin/curl -O -u me:{S} https://host/data.tar",
    f"bash -c 'curl -u me:{S} https://host/data.tar | tar x && python train.py'",
    f"bash -c 'curl -L -u \"me:{S}\" https://host/data.tar'",
    f"http -a me:{S} POST host/runs",
    f"sshpass -p {S} rsync -a data host:",
    f"sshpass -p{S} ssh host nvidia-smi",
    f"redis-cli -h cache -a {S} ping",
    f"mysql -u root -p{S} runs",
    f"mysqldump -uroot -p{S} runs",
    f"unzip -P {S} data.zip",
    f"7z x -p{S} data.7z",
    f"ipmitool -H bmc -U admin -P {S} dcmi power reading",
    f"docker login -u me -p {S} registry.example.com",
    f"wandb login {HEX}",
    f"wandb login --relogin {HEX}",
    f"bash -c 'wandb login {HEX} && python train.py'",
    f"aws configure set aws_secret_access_key {S}",
    f"dvc remote modify --local origin password {S}",
    f"git config --global github.token {S}",
    f"python etl.py 'Server=db;Uid=me;Pwd={S};Timeout=3'",
    f"python etl.py --dsn 'DRIVER=x;SERVER=db;UID=me;PWD={S}'",
    f"python etl.py Pwd={S}",
    f"openssl rsa -in k.pem -passin pass:{S}",
    f"python train.py --db-pw {S}",
    f"helm install x chart --set auth.password={S}",
    f"python train.py --video-service-token {S}",
    f"env TELEGRAM_BOT_TOKEN={S} python notify.py",
    f"curl https://api.telegram.org/bot123456789:{S}{S}/sendMessage",
    f"curl https://discord.com/api/webhooks/1234567890/{S}{S}",
    f"python chat.py --llm gsk_{S}{S}{S}",
    f"python chat.py gsk_{S}{S}{S}",
    f"python chat.py xai-{S}{S}",
    f"python rag.py --store pcsk_{S}_{S}",
    f"python chat.py sk-or-v1-{HEX}{HEX}",
    f"vault login hvs.{S}{S}",
    f"bash -c 'export OPENAI_KEY={S}; python eval.py'",
    f"""python -c 'client = Groq(groq_key="{S}")'""",
    f"kubectl create secret generic s --from-literal=password={S}",
    f"papermill in.ipynb out.ipynb -p openai_key {S} -p api_token={S}",
    f"srun --export=ALL,HF_TOKEN={S} python train.py",
    f"mlflow run . -P api_key={S} -P alpha=0.5",
    f"x --access-tokens {S},{S}",
]


@pytest.mark.parametrize("line", WITH_A_SECRET)
def test_secret_that_is_typed_beside_a_training_goes(line: str) -> None:
    before = shlex.split(line)
    after = redacted(before)
    assert not [part for part in (S, HEX) if part in " ".join(after)], after
    assert len(after) == len(before)
    untouched = [word for word in before if S not in word and HEX not in word]
    assert [word for word in after if REDACTED not in word] == untouched


WITHOUT_ONE = [
    "python train.py --video-token 5 --audio_token audio --num-audio-tokens 8",
    "python train.py --video_token '<video>' --audio-token '<|audio|>' --image_token_id 32000",
    "python train.py --user-token '<|user|>' --assistant_token '<|assistant|>' --bot-token '[BOT]'",
    "env TEXT_KEY=content LABEL_KEY=label IMAGE_KEY=jpg python train.py",
    "env DATA_KEY=train/part-0001.parquet SSL_KEY=/etc/ssl/key.pem python serve.py",
    "python train.py --text-key caption --image_key jpg --label_key cls --rng-key 1234",
    "python train.py --image_key observation.images.top --monitor-key val_loss",
    "python train.py --max-tokens 512 --pad-token '[PAD]' --tokenizer gpt2",
    "python train.py --tokenizer-path /models/tok --add_prefix_token --eos_token_id 2",
    "python train.py --placeholder_token '<cat-toy>' --initializer_token toy --instance_token sks",
    "python train.py --modifier_token '<new1>' --class-token person --trigger_token ohwx",
    "accelerate launch train.py --validation_token '<s1>' --speaker-token '{spk}'",
    "python train.py --special-tokens '<a>,<b>' --stop-tokens '###' --num-virtual-tokens 20",
    "python train.py --token-dropout 0.1 --token_merging 0.5 --per-token-loss",
    "python train.py --keypoints 17 --num-keys 64 --key-dim 64 --query-key-norm --kv-key k",
    "python train.py --sort_key length --group-key user_id --partition-key date --hash_key id",
    "python train.py --patience 10 --pat 10 --file-pat '*.jpg' --pattern x",
    "python train.py --passes 3 --low-pass 0.1 --high_pass 300 --bypass --pass-rate 0.5",
    "python train.py --auth-free --author me --authentic --path a --patch-size 16 --compat",
    "python train.py --secretary-problem --tokenized data.bin --credit-assignment gae",
    "docker run -u 1000:1000 -p 8080:80 image python train.py -p 3",
    "docker run --user me:staff image",
    "curl -o data.tar -L https://host/data.tar -u ''",
    "curl -u me https://host/data.tar",
    "mysql -u root -p runs",
    "mysql -h db -P 3306 -u root",
    "ssh -p 2222 host 'python train.py -p 3 -u'",
    "python -u train.py --pp 4 --tp 8",
    "papermill in.ipynb out.ipynb -p alpha 0.5 -p epochs 3",
    "mlflow run . -P alpha=0.5 -P config.set=base",
    "python train.py --config set_a --set model.key=x --set data.sort_key=len",
    "git config user.name bob",
    "wandb login",
    "wandb sync run-20240701_120000-3x9k2m1q",
    "docker login registry.example.com",
    "env PWD=/home/me OLDPWD=/home python train.py",
    "python train.py hydra.run.dir=outputs/x +trainer.patience=3 data.label_key=y",
    "python merge.py --key-map a:b --keys model.embed_tokens.weight --key lm_head",
    "python dump.py --s3-key models/llama/weights.bin --row-key 7 --primary_key id",
    "python attention.py --kv-cache --key-value-heads 8 --multi-query --value v --key k",
    "bash -c 'curl -fsSL https://host/install.sh | sh; python -u train.py'",
    "python train.py --sky-key blue-sky --map-key en_US --lang-key en",
    "python train.py --ckpt sha256-9f86d081884c7d659a2feaa0c55ad015 --run xai-baseline-long-run",
    "python tg.py sg.models.resnet50.v1.weights task-force-one-two-three-four-five",
    "zip -r out.zip runs -x '*.ckpt'",
    "7z x data.7z -oout",
    "redis-cli -h cache ping",
    "http GET host/runs a=b",
    "openssl enc -pass-through",
    "python train.py --w 1 -w 8 -P 3 -a b -U c",
]


@pytest.mark.parametrize("line", WITHOUT_ONE)
def test_training_without_a_secret_is_kept_as_it_was_typed(line: str) -> None:
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
        "curl -u ",
        "curl -u a:b; ",
        "wandb login ",
        "set token ",
    ],
)
def test_a_long_command_line_costs_no_more_than_it_must(unit: str) -> None:
    text = unit * (2**17 // len(unit))
    start = time.process_time()
    redacted([text, f"token {text}", f"token= {text}", f"a@{text}"])
    assert time.process_time() - start < 4  # what is quadratic takes minutes


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
