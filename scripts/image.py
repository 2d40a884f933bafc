"""Makes an image by the last stage of deploy/Dockerfile, and asks of it what is promised: that it runs without any right,
says how it is, finds names and certificates, and ends when it is asked to; of the binary that is released also its size,
what is in it, and how soon it listens. Ends with 1 at the first promise that is not kept. What it makes is gone at its
end. Needs root, buildah, podman and runc, and nothing from a registry of images.

    image.py FOLDER [--released]

FOLDER has what the first stage would have made: the folder `image`, with the binary and whatever that needs.
"""

import atexit
import hashlib
import json
import os
import pathlib
import random
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
import zlib

BYTES_MAX = 30_000_000
LISTENS_WITHIN_MS = 100
USER = 65532
NAME = "lamplighter.test"
TOKEN = "a token for this check alone"
HASH = hashlib.sha256(TOKEN.encode()).hexdigest()
CONFIG = f"""
[aws]
region = "eu-central-1"
endpoint_url = "http://{NAME}:9"

[[api.tokens]]
name = "check"
role = "viewer"
sha256 = "{HASH}"

[schedules.office]
time_zone = "Europe/Berlin"
teardown = "0 19 * * 1-5"
"""

folder = pathlib.Path(sys.argv[1])
released = sys.argv[2:] == ["--released"]
binary = folder / "image/lamplighter"
work = pathlib.Path(tempfile.mkdtemp(prefix="lamplighter-image-"))
atexit.register(shutil.rmtree, work, ignore_errors=True)
signal.signal(signal.SIGTERM, lambda *_: sys.exit("asked to end"))


def must(kept, promise):
    if not kept:
        sys.exit(f"NOT KEPT: {promise}")
    print(f"  {promise}")


def run(*command, check=True):
    done = subprocess.run(command, capture_output=True, text=True)
    if check and done.returncode:
        sys.exit(f"{' '.join(command)}: {done.stdout}{done.stderr}")
    return done


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


PUBLIC, ADMIN = free_port(), free_port()
# Port 53 of this machine may be taken; loopback has addresses enough.
RESOLVER = ".".join(map(str, [127, random.randrange(1, 255), random.randrange(1, 255), random.randrange(1, 255)]))
STORAGE = ["--storage-driver", "vfs", "--root", work / "storage", "--runroot", work / "run"]
PODMAN = ["podman", *STORAGE, "--runtime", "runc", "--cgroup-manager=cgroupfs"]
image = "localhost/lamplighter:check"


def podman(*arguments, check=True):
    return run(*PODMAN, *arguments, check=check)


def once(*arguments):
    """Runs a command in a container of its own."""
    return podman("run", "--rm", "--no-healthcheck", *CONFINED, *arguments, check=False)


def make():
    """What the first stage would have made is given in its place. Only the format of Docker has health checks."""
    (work / "context").mkdir()
    dockerfile = pathlib.Path(__file__).parent.parent / "deploy/Dockerfile"
    run("buildah", *STORAGE, "bud", "--quiet", "--isolation", "chroot", "--pull-never", "--format", "docker",
        "--build-context", f"build={folder.resolve()}", "--file", dockerfile, "--tag", image, work / "context")


# As Kubernetes runs it: nothing can be written, no capability, none to be had. The rest is what a machine without limits
# of its own needs.
CONFINED = [
    "--network=host", "--ulimit=nofile=1024:1024", "--ulimit=nproc=1024:1024", "--read-only", "--read-only-tmpfs=false",
    "--cap-drop=all", "--security-opt=no-new-privileges", f"--dns={RESOLVER}", "--env=AWS_ACCESS_KEY_ID=none",
    "--env=AWS_SECRET_ACCESS_KEY=none", f"--volume={work}/etc:/etc/lamplighter:ro",
    f"--env=LAMPLIGHTER_PUBLIC_ADDR=0.0.0.0:{PUBLIC}", f"--env=LAMPLIGHTER_ADMIN_ADDR=0.0.0.0:{ADMIN}",
]


def ask(port, path):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as refused:
        return refused.code, refused.read().decode()


def until_it_listens(port, patience=20):
    began = time.monotonic()
    while time.monotonic() - began < patience:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.001)
    sys.exit(f"nothing listens on {port} after {patience} s")


def serve_names(asked):
    """A DNS server that knows one name, so that finding it is not left to the file of hosts."""
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind((RESOLVER, 53))

    def answer():
        while True:
            query, peer = server.recvfrom(512)
            end = query.index(0, 12) + 5
            kind = struct.unpack(">H", query[end - 4 : end - 2])[0]
            labels, at = [], 12
            while query[at]:
                labels.append(query[at + 1 : at + 1 + query[at]].decode())
                at += query[at] + 1
            known = ".".join(labels) == NAME and kind == 1
            asked.add(".".join(labels))
            head = query[:2] + struct.pack(">HHHHH", 0x8180, 1, int(known), 0, 0)
            record = b"\xc0\x0c" + struct.pack(">HHIH", 1, 1, 60, 4) + socket.inet_aton("127.0.0.1") if known else b""
            server.sendto(head + query[12:end] + record, peer)

    threading.Thread(target=answer, daemon=True).start()


def size():
    layers = int(podman("image", "inspect", "--format", "{{.Size}}", image).stdout)
    must(layers <= BYTES_MAX, f"{layers / 1e6:.1f} MB, of {BYTES_MAX / 1e6:.0f}")


def crates():
    part = work / "crates"
    run("objcopy", "--dump-section", f".dep-v0={part}", binary, "/dev/null", check=False)
    if not part.exists():
        sys.exit("NOT KEPT: names the crates in it: there is no section .dep-v0")
    names = {package["name"] for package in json.loads(zlib.decompress(part.read_bytes()))["packages"]}
    must("aws-sdk-dynamodb" in names, f"names the {len(names)} crates in it")
    must(not names & {"simcloud", "dynoxide-rs"}, "has nothing of `lamplighter dev` among them")


def soon():
    """From the start of the process, without what a runtime of containers needs before."""
    root = podman("image", "mount", image).stdout.strip()
    variables = {
        "LAMPLIGHTER_CONFIG": str(work / "etc/lamplighter.toml"),
        "LAMPLIGHTER_PUBLIC_ADDR": f"127.0.0.1:{PUBLIC}",
        "LAMPLIGHTER_ADMIN_ADDR": f"127.0.0.1:{ADMIN}",
        "AWS_ACCESS_KEY_ID": "none",
        "AWS_SECRET_ACCESS_KEY": "none",
        "SSL_CERT_FILE": f"{root}/etc/ssl/certs/ca-certificates.crt",
    }
    took = []
    for _ in range(5):
        with open(work / "soon.log", "w") as log:
            began = time.monotonic()
            daemon = subprocess.Popen([f"{root}/lamplighter", "run"], stderr=log, env=variables)
        until_it_listens(ADMIN)
        took.append((time.monotonic() - began) * 1000)
        daemon.terminate()
        daemon.wait()
    podman("image", "umount", image)
    took.sort()
    each = ", ".join(f"{ms:.0f}" for ms in took)
    must(took[2] <= LISTENS_WITHIN_MS, f"listens {took[2]:.0f} ms after its start, the median of {each}")


def encrypted():
    """AWS calls over TLS, to a name, by a certificate that the image is given in place of its own."""
    key, certificate = work / "key.pem", work / "certs/ca-certificates.crt"
    run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1",
        "-subj", f"/CN={NAME}", "-addext", f"subjectAltName=DNS:{NAME}", "-addext", "basicConstraints=critical,CA:FALSE",
        "-keyout", key, "-out", certificate)
    certificate.chmod(0o644)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(30)
    given = [f"--env=LAMPLIGHTER_ENDPOINT_URL=https://{NAME}:{listener.getsockname()[1]}", f"--volume={work}/certs:/etc/ssl/certs:ro"]
    container = podman("run", "--detach", *CONFINED, *given, image).stdout.strip()
    try:
        with context.wrap_socket(listener.accept()[0], server_side=True) as connection:
            connection.settimeout(30)
            head = connection.recv(4096).decode(errors="replace")
        must("x-amz-target: DynamoDB" in head, "asks AWS over TLS")
    except OSError as error:
        sys.exit(f"NOT KEPT: asks AWS over TLS: {error}: {podman('logs', container, check=False).stderr}")
    finally:
        podman("rm", "--force", container, check=False)


def as_user(look):
    """What a look finds as the user that the daemon runs as."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.setgroups([])
            os.setgid(USER)
            os.setuid(USER)
            with open(writing, "w") as said:
                json.dump(look(), said)
        finally:
            os._exit(0)
    os.close(writing)
    with open(reading) as said:
        found = said.read()
    os.waitpid(child, 0)
    return json.loads(found)


def look_for_writable(pid):
    """The files and folders of a container's process, those of them that can be written to, and those that could be if
    the root were not read-only."""
    # With the dot, the folder that the link leads to.
    root = os.path.join(f"/proc/{pid}/root", ".")
    seen, writable, owned = [], [], []
    for place, folders, files in os.walk(root):
        if place == root:
            # Made up by the kernel for each process.
            folders[:] = [name for name in folders if name not in ("proc", "sys")]
        for path in [place, *(f"{place}/{name}" for name in files)]:
            plain = not os.path.islink(path) and (os.path.isdir(path) or os.path.isfile(path))
            seen.append(path.removeprefix(root) or "/")
            if plain and os.access(path, os.W_OK):
                writable.append(seen[-1])
            status = os.lstat(path)
            if not seen[-1].startswith("/dev/") and plain and (status.st_uid == USER or status.st_mode & 0o002):
                owned.append(seen[-1])
    return seen, writable, owned


def confined(asked):
    began = time.monotonic()
    container = podman("run", "--detach", *CONFINED, image).stdout.strip()
    try:
        until_it_listens(ADMIN)
        print(f"  in a container {(time.monotonic() - began) * 1000:.0f} ms after podman was asked")
        must(ask(ADMIN, "/healthz") == (200, "ok\n"), "answers /healthz")
        status, why = ask(ADMIN, "/readyz")
        must(status == 503 and "reasons" in why, "is not ready without AWS, and says why")
        pid = podman("inspect", "--format", "{{.State.Pid}}", container).stdout.strip()
        status = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
        facts = dict(line.split(":\t", 1) for line in status if ":\t" in line)
        must(facts["Uid"].split() == [str(USER)] * 4, f"runs as user {USER}")
        must(int(facts["CapEff"], 16) == int(facts["CapBnd"], 16) == 0, "has no capability and can get none")
        mounts = pathlib.Path(f"/proc/{pid}/mounts").read_text().splitlines()
        root = next(line.split()[3] for line in mounts if line.split()[1] == "/")
        must("ro" in root.split(","), "has a root file system that nobody can write to")
        seen, writable, owned = as_user(lambda: look_for_writable(pid))
        must("/lamplighter" in seen, f"lets its user look at the {len(seen)} files and folders in it")
        # Memory that the runtime gives to every container.
        must(set(writable) <= {"/dev/mqueue", "/dev/shm"}, f"has nothing else to write to: {' '.join(writable)}")
        must(not owned, f"has nothing in it that its user could change: {' '.join(owned)}")
        healthy = podman("healthcheck", "run", container, check=False)
        must(healthy.returncode == 0, "is healthy by the check that is in it")
        unready = podman("exec", container, "/lamplighter", "healthy", "--ready", check=False)
        must(unready.returncode == 1 and "answered 503" in unready.stderr, "tells from inside that it is not ready")
        checked = once(image, "config", "check")
        must(checked.returncode == 0 and "Europe/Berlin" in checked.stdout, "takes its configuration, with a time zone")
        asked.clear()
        token, server = f"--env=LAMPLIGHTER_TOKEN={TOKEN}", f"--env=LAMPLIGHTER_SERVER=http://{NAME}:{PUBLIC}"
        client = once(token, server, image, "apps", "list")
        said = client.stderr.strip()
        # An answer, although one of a daemon that has not swept yet.
        heard = client.returncode == 1 and "not-swept" in said
        must(NAME in asked and heard, f"finds a name by DNS, and its client hears: {said}")
        began = time.monotonic()
        podman("stop", "--time", "30", container)
        code = podman("inspect", "--format", "{{.State.ExitCode}}", container).stdout.strip()
        must(code == "0", f"ends with 0 on SIGTERM, {time.monotonic() - began:.1f} s after podman was asked")
    except SystemExit:
        print(podman("logs", container, check=False).stderr, file=sys.stderr)
        raise
    finally:
        podman("rm", "--force", container, check=False)
    bare = once(f"--volume={work}/empty:/etc/ssl:ro", image)
    said = next((line for line in reversed(bare.stderr.splitlines()) if "certificates" in line), "")
    # A binary with debug assertions ends by one of the SDK's.
    must(bare.returncode and said, f"takes its certificates from the image; without them: {said}")


for name in ("etc", "empty", "certs"):
    (work / name).mkdir(mode=0o755)
work.chmod(0o755)
(work / "etc/lamplighter.toml").write_text(CONFIG)
asked = set()
serve_names(asked)
make()
print("the image")
if released:
    size()
    crates()
    soon()
confined(asked)
encrypted()
print("all promises are kept")
