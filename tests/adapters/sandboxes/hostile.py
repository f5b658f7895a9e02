"""Functions that try to do harm. `f` returns "ESCAPED" if it got what it wanted.

Each stands with whether the same code succeeds as a plain process of the same user (`control`): if
it did not, its failure inside would prove nothing. Bombs have no control.
"""

from __future__ import annotations

from dataclasses import dataclass
from textwrap import dedent, indent


@dataclass(frozen=True, slots=True, kw_only=True)
class Hostile:
    """One attack."""

    name: str
    code: str
    control: bool


HOSTILE: list[Hostile] = []

_PRELUDE = """
import os, sys
def syscall(number, *args):
    import ctypes
    libc = ctypes.CDLL(None, use_errno=True)
    wide = [ctypes.c_long(arg) if isinstance(arg, int) else arg for arg in args]
    result = libc.syscall(number, *wide)
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result
"""


def attack(name: str, body: str, *, control: bool) -> None:
    """Add an attack; `{canary}` in its body is the path of a secret file of the engine."""
    code = f"{_PRELUDE}\ndef f(canary):\n{indent(dedent(body).strip(), '    ')}\n"
    HOSTILE.append(Hostile(name=name, code=code, control=control))


# -- secrets and files

attack(
    "read-secret-file",
    """
    return "ESCAPED" if "sk-canary" in open(canary).read() else "no"
    """,
    control=True,
)
attack(
    "read-secret-by-descriptor-walk",
    """
    for fd in range(0, 4096):
        try:
            os.lseek(fd, 0, 0)
            if b"sk-canary" in os.read(fd, 4096):
                return "ESCAPED"
        except OSError:
            pass
    return "no"
    """,
    control=False,
)
attack(
    "read-secret-through-symlink",
    """
    os.symlink(canary, "link")
    try:
        return "ESCAPED" if "sk-canary" in open("link").read() else "no"
    finally:
        os.unlink("link")
    """,
    control=True,
)
attack(
    "read-secret-through-hard-link",
    """
    os.link(canary, "hard")
    try:
        return "ESCAPED" if "sk-canary" in open("hard").read() else "no"
    finally:
        os.unlink("hard")
    """,
    control=False,
)
attack(
    "read-secret-by-dot-dot",
    """
    return "ESCAPED" if "sk-canary" in open("../" * 40 + canary.lstrip("/")).read() else "no"
    """,
    control=True,
)
attack(
    "environment-secret",
    """
    return "ESCAPED" if any("sk-canary" in value for value in os.environ.values()) else "no"
    """,
    control=True,
)
attack(
    "environment-secret-of-the-process",
    """
    return "ESCAPED" if b"sk-canary" in open("/proc/self/environ", "rb").read() else "no"
    """,
    control=True,
)
attack(
    "environment-secret-of-parents",
    """
    pid = os.getppid()
    for number in [pid, *range(1, 400)]:
        try:
            if b"sk-canary" in open(f"/proc/{number}/environ", "rb").read():
                return "ESCAPED"
        except OSError:
            pass
    return "no"
    """,
    control=True,
)
attack(
    "environment-in-native-memory",
    """
    import ctypes
    environ = ctypes.POINTER(ctypes.c_char_p).in_dll(ctypes.CDLL(None), "environ")
    index = 0
    while environ and environ[index]:
        if b"sk-canary" in environ[index]:
            return "ESCAPED"
        index += 1
    return "no"
    """,
    control=True,
)
attack(
    "secret-in-own-memory",
    """
    needle = b"sk-" + b"canary-in-memory"
    with open("/proc/self/maps") as maps:
        regions = [line.split()[0].split("-") for line in maps if " rw" in line]
    with open("/proc/self/mem", "rb") as memory:
        for start, end in regions:
            memory.seek(int(start, 16))
            try:
                if needle + b"!" in memory.read(int(end, 16) - int(start, 16)):
                    return "ESCAPED"
            except OSError:
                pass
    return "no"
    """,
    control=False,
)
attack(
    "read-password-file", 'return "ESCAPED" if "root" in open("/etc/passwd").read() else "no"',
    control=True,
)  # fmt: skip
attack("list-root", 'return "ESCAPED" if "etc" in os.listdir("/") else "no"', control=True)
attack("list-etc", 'return "ESCAPED" if os.listdir("/etc") else "no"', control=True)
attack(
    "read-process-list",
    """
    others = [name for name in os.listdir("/proc") if name.isdigit()]
    return "ESCAPED" if len(others) > 1 else "no"
    """,
    control=True,
)
attack(
    "read-kernel-settings",
    """
    return "ESCAPED" if open("/proc/sys/kernel/hostname").read() else "no"
    """,
    control=True,
)
attack("list-sys", 'return "ESCAPED" if os.listdir("/sys/class") else "no"', control=True)
attack(
    "write-temporary-file-of-the-machine",
    """
    path = os.path.join(os.path.dirname(canary), "written")
    open(path, "w").write("x")
    return "ESCAPED" if os.path.exists(path) else "no"
    """,
    control=True,
)
attack(
    "write-shared-memory-file",
    """
    open("/dev/shm/ff-hostile", "w").write("x")
    os.unlink("/dev/shm/ff-hostile")
    return "ESCAPED"
    """,
    control=True,
)
attack(
    "write-to-standard-library",
    """
    with open(os.__file__, "r+b"):
        return "ESCAPED"
    """,
    control=False,
)
attack(
    "write-to-packages",
    """
    for folder in sys.path:
        try:
            open(os.path.join(folder, "sitecustomize.py"), "a").close()
            return "ESCAPED"
        except OSError:
            pass
    return "no"
    """,
    control=False,
)
attack(
    "make-setuid-program",
    """
    open("shell", "w").write("#!/bin/sh")
    os.chmod("shell", 0o6755)
    os.execv("./shell", ["./shell"])
    """,
    control=False,
)
attack(
    "make-device",
    """
    import stat
    os.mknod("disk", stat.S_IFBLK | 0o600, os.makedev(254, 0))
    open("disk", "rb").read(1)
    return "ESCAPED"
    """,
    control=False,
)
attack(
    "change-mode-of-a-file",
    """
    before = os.stat(canary).st_mode
    os.chmod(canary, 0o777)
    changed = os.stat(canary).st_mode != before
    os.chmod(canary, before & 0o7777)
    return "ESCAPED" if changed else "no"
    """,
    control=True,
)
attack(
    "change-mode-by-descriptor",
    """
    with open(os.__file__) as file:
        os.fchmod(file.fileno(), 0o4755)
        if os.fstat(file.fileno()).st_mode & 0o4000:
            return "ESCAPED"
    """,
    control=False,
)
attack(
    "change-times-of-a-file",
    """
    os.utime(canary, (1, 1))
    return "ESCAPED" if os.stat(canary).st_mtime == 1 else "no"
    """,
    control=True,
)
attack(
    "tag-a-file",
    """
    os.setxattr(canary, "user.ff", b"x")
    return "ESCAPED"
    """,
    control=False,
)
attack("own-a-file", 'os.chown(canary, 65534, 65534)\nreturn "ESCAPED"', control=False)
attack("cut-a-file", 'os.truncate(canary, 1)\nreturn "ESCAPED"', control=False)
attack("delete-a-file", 'os.unlink(canary)\nreturn "ESCAPED"', control=False)
attack("move-a-file", 'os.rename(canary, "mine")\nreturn "ESCAPED"', control=False)
attack(
    "lock-a-shared-file",
    """
    import fcntl
    with open(os.__file__) as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return "ESCAPED"
    """,
    control=True,
)
attack(
    "open-by-handle",
    """
    import ctypes
    buffer = ctypes.create_string_buffer(b"\\x08\\0\\0\\0\\1\\0\\0\\0\\2\\0\\0\\0\\0\\0\\0\\0", 128)
    syscall(304, -100, buffer, 0)
    return "ESCAPED"
    """,
    control=False,
)
attack(
    "symlink-race",
    """
    import threading
    open("good", "w").write("mine")
    stop = False
    def swap():
        while not stop:
            for target in ("good", canary):
                try:
                    os.symlink(target, "new"); os.replace("new", "link")
                except OSError:
                    pass
    thread = threading.Thread(target=swap, daemon=True); thread.start()
    try:
        for _ in range(20000):
            try:
                if "sk-canary" in open("link").read():
                    return "ESCAPED"
            except OSError:
                pass
    finally:
        stop = True
        thread.join()
        os.unlink("good"); os.unlink("link")
    return "no"
    """,
    control=True,
)

# -- network

for _family, _kind, _control in [
    ("AF_INET", "SOCK_STREAM", True),
    ("AF_INET", "SOCK_DGRAM", True),
    ("AF_INET6", "SOCK_STREAM", True),
    ("AF_UNIX", "SOCK_STREAM", True),
    ("AF_UNIX", "SOCK_DGRAM", True),
    ("AF_NETLINK", "SOCK_RAW", True),
    ("AF_PACKET", "SOCK_RAW", False),
    ("AF_ALG", "SOCK_SEQPACKET", False),
    ("AF_VSOCK", "SOCK_STREAM", False),
]:
    attack(
        f"socket-{_family}-{_kind}",
        f"""
        import socket
        socket.socket(socket.{_family}, socket.{_kind})
        return "ESCAPED"
        """,
        control=_control,
    )
attack(
    "sockets-of-every-number",
    """
    import socket
    opened = []
    for family in range(0, 50):
        for kind in range(1, 11):
            try:
                socket.socket(family, kind).close(); opened.append((family, kind))
            except OSError:
                pass
    return "ESCAPED" if opened else "no"
    """,
    control=True,
)
attack(
    "resolve-a-name",
    """
    import socket
    return "ESCAPED" if socket.getaddrinfo("localhost", 80) else "no"
    """,
    control=True,
)
attack(
    "abstract-socket-by-pair",
    """
    import socket
    a, b = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        a.sendto(b"x", "\\0ff-nobody-listens")
    except ConnectionRefusedError:
        return "ESCAPED"  # the address was looked up
    """,
    control=False,
)
attack(
    "bind-a-pair",
    """
    import socket
    a, b = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    syscall(49, a.fileno(), b"\\1\\0\\0ff-bound", 11)
    return "ESCAPED"
    """,
    control=False,
)

attack(
    "filter-on-a-socket",
    # SO_ATTACH_FILTER: a program in the kernel, by way of a socket
    """
    import ctypes, socket, struct
    a, b = socket.socketpair()
    take_all = ctypes.create_string_buffer(struct.pack("HBBI", 6, 0, 0, 0xFFFF))
    a.setsockopt(socket.SOL_SOCKET, 26, struct.pack("HxxxxxxP", 1, ctypes.addressof(take_all)))
    return "ESCAPED"
    """,
    control=True,
)
attack(
    "who-is-at-the-other-end",
    """
    import socket, struct
    a, b = socket.socketpair()
    for fd in range(3, 64):
        try:
            other = socket.socket(fileno=os.dup(fd))
            if struct.unpack("3i", other.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)):
                return "ESCAPED"
        except OSError:
            pass
    return "no"
    """,
    control=True,
)
attack(
    "descriptor-of-the-engine",
    # SO_PEERPIDFD, since Linux 6.5
    """
    import socket
    for fd in range(3, 64):
        try:
            if socket.socket(fileno=os.dup(fd)).getsockopt(socket.SOL_SOCKET, 77, 4):
                return "ESCAPED"
        except OSError:
            pass
    return "no"
    """,
    control=False,
)

# -- processes

attack(
    "fork",
    """
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    return "ESCAPED"
    """,
    control=True,
)
attack(
    "double-fork-outlives-the-call",
    """
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            import time; time.sleep(0.5)
        os._exit(0)
    return "ESCAPED"
    """,
    control=True,
)
attack("raw-fork", "pid = syscall(57)\nif pid == 0: os._exit(0)\nreturn 'ESCAPED'", control=True)
attack("raw-vfork-by-clone",
    "pid = syscall(56, 17, 0, 0, 0, 0)\nif pid == 0: os._exit(0)\nreturn 'ESCAPED'", control=True,
)  # fmt: skip
attack(
    "clone3",
    """
    import ctypes
    arguments = (ctypes.c_uint64 * 11)(0, 0, 0, 0, 17)
    pid = syscall(435, arguments, 88)
    if pid == 0:
        os._exit(0)
    return "ESCAPED"
    """,
    control=True,
)
attack(
    "run-a-program",
    """
    import subprocess
    return "ESCAPED" if subprocess.run(["/bin/true"]).returncode == 0 else "no"
    """,
    control=True,
)
attack("run-a-shell", 'return "ESCAPED" if os.system("exit 0") == 0 else "no"', control=True)
attack("spawn", 'return "ESCAPED" if os.posix_spawn("/bin/true", ["true"], {}) else "no"',
    control=True,
)  # fmt: skip
attack(
    "run-a-program-from-memory",
    """
    fd = os.memfd_create("program")
    os.write(fd, open(sys.executable, "rb").read(1))
    return "ESCAPED"
    """,
    control=True,
)
attack(
    "multiprocessing",
    """
    import multiprocessing
    process = multiprocessing.get_context("fork").Process(target=print)
    process.start(); process.join()
    return "ESCAPED" if process.exitcode == 0 else "no"
    """,
    control=True,
)
attack(
    "signal-the-parent",
    """
    parent = os.getppid()
    os.kill(parent if parent > 0 else 2, 0)
    return "ESCAPED"
    """,
    control=True,
)
attack("signal-everyone", "os.kill(-1, 0)\nreturn 'ESCAPED'", control=True)
attack("signal-the-group", "os.killpg(0, 0)\nreturn 'ESCAPED'", control=True)
attack(
    "signal-any-number",
    """
    reached = 0
    for pid in range(2, 33000):
        if pid == os.getpid():
            continue
        try:
            os.kill(pid, 0); reached += 1
        except ProcessLookupError:
            pass
        except PermissionError:
            pass
    return "ESCAPED" if reached else "no"
    """,
    control=True,
)
attack(
    "signal-by-descriptor",
    """
    import signal
    fd = os.pidfd_open(os.getppid() or 1)
    signal.pidfd_send_signal(fd, 0)
    return "ESCAPED"
    """,
    control=True,
)
attack(
    "trace-the-parent",
    """
    syscall(101, 0x4206, os.getppid() or 2, 0, 0)
    syscall(101, 17, os.getppid() or 2, 0, 0)
    return "ESCAPED"
    """,
    control=False,
)
attack("be-traced", "syscall(101, 0, 0, 0, 0)\nreturn 'ESCAPED'", control=False)
attack(
    "read-memory-of-another",
    """
    import ctypes
    class Part(ctypes.Structure):
        _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]
    target = ctypes.create_string_buffer(8)
    local = Part(ctypes.addressof(target), 8)
    syscall(310, os.getpid(), ctypes.byref(local), 1, ctypes.byref(local), 1, 0)
    return "ESCAPED"
    """,
    control=True,
)
attack(
    "raise-own-limits",
    """
    import resource
    for bound in (resource.RLIMIT_AS, resource.RLIMIT_NPROC, resource.RLIMIT_FSIZE):
        soft, hard = resource.getrlimit(bound)
        if hard == resource.RLIM_INFINITY:
            return "ESCAPED"
        try:
            resource.setrlimit(bound, (hard + 1, hard + 1))
            return "ESCAPED"
        except (ValueError, OSError):
            pass
    return "no"
    """,
    control=True,
)
attack("raise-priority", "os.nice(-5)\nreturn 'ESCAPED'", control=False)
attack("leave-the-session", "os.setsid()\nreturn 'ESCAPED'", control=False)

# -- the kernel

for _name, _number, _arguments, _control in [
    ("new-user-namespace", 272, "0x10000000", True),
    ("new-mount-namespace", 272, "0x00020000", False),
    ("new-process-namespace", 272, "0x20000000", False),
    ("new-network-namespace", 272, "0x40000000", False),
    ("mount", 165, 'b"none", b"/tmp", b"tmpfs", 0, 0', False),
    ("unmount", 166, 'b"/proc", 2', False),
    ("unmount-scratch", 166, 'b"/tmp", 2', False),
    ("pivot-root", 155, 'b".", b"."', False),
    ("chroot", 161, 'b"."', False),
    ("open-tree", 428, '-100, b"/", 1', False),
    ("fsopen", 430, 'b"tmpfs", 0', False),
    ("move-mount", 429, '-100, b"/", -100, b"/tmp", 0', False),
    ("mount-setattr", 442, '-100, b"/", 0, 0, 0', False),
    ("bpf", 321, "0, 0, 0", False),
    ("io-uring", 425, "8, (__import__('ctypes').c_char * 120)()", True),
    ("add-key", 248, 'b"user", b"ff-hostile", b"x", 1, -1', True),
    ("request-key", 249, 'b"user", b"x", 0, 0', False),
    ("keyctl", 250, "0, -3, 1", True),
    ("memfd", 319, 'b"x", 0', True),
    ("secret-memory", 447, "0", False),
    ("userfaultfd", 323, "1", False),
    ("perf-event", 298, "(__import__('ctypes').c_char * 120)(), 0, -1, -1, 0", False),
    ("shared-memory-segment", 29, "0x46464646, 4096, 0o1600", True),
    ("semaphore", 64, "0x46464646, 1, 0o1600", True),
    ("message-queue", 68, "0x46464646, 0o1600", True),
    ("posix-message-queue", 240, 'b"ff-hostile", 0o102, 0o600, 0', True),
    ("personality", 135, "0x0400000", True),
    ("set-user", 105, "0", False),
    ("set-capabilities", 126, "(__import__('ctypes').c_uint32 * 2)(0x20080522, 0), 0", False),
    ("prctl-dumpable", 157, "4, 1, 0, 0, 0", True),
    ("prctl-subreaper", 157, "36, 1, 0, 0, 0", True),
    ("own-filter", 317, "1, 0, 0", False),
    ("modify-ldt", 154, "0, 0, 0", False),
    ("io-permission", 172, "3", False),
    ("load-module", 175, "0, 0, b''", False),
    ("kexec", 246, "0, 0, 0, 0", False),
    ("reboot", 169, "0, 0, 0, 0", False),
    ("swap-off", 168, "b'/none'", False),
    ("system-log", 103, "10, 0, 0", False),
    ("accounting", 163, "0", False),
    ("quota", 179, "0, 0, 0, 0", False),
    ("set-clock", 227, "0, 0", False),
    ("set-hostname", 170, "b'x', 1", False),
    ("watch-files", 254, "", False),
    ("watch-all-files", 300, "0, 0", False),
    ("steal-descriptor", 438, "0, 0, 0", False),
    ("process-descriptor", 434, "1, 0", True),
    ("lock-memory", 151, "1", False),
    ("pin-to-processor", 203, "0, 8, b'\\x01\\0\\0\\0\\0\\0\\0\\0'", True),
    ("splice-pages", 278, "0, 0, 0, 0", False),
]:
    attack(
        f"syscall-{_name}",
        f"syscall({_number}{', ' + _arguments if _arguments else ''})\nreturn 'ESCAPED'",
        control=_control,
    )

attack(
    "32-bit-call",
    # mov eax, 20 (getpid of i386); int 0x80; ret
    """
    import ctypes, mmap
    page = mmap.mmap(-1, 4096, prot=7)
    page.write(b"\\xb8\\x14\\0\\0\\0\\xcd\\x80\\xc3")
    address = ctypes.addressof(ctypes.c_char.from_buffer(page))
    return "ESCAPED" if ctypes.CFUNCTYPE(ctypes.c_int)(address)() == os.getpid() else "no"
    """,
    control=True,
)
attack(
    "x32-call",
    """
    import ctypes
    ctypes.CDLL(None).syscall(0x40000000 | 39)
    return "ESCAPED"
    """,
    control=False,
)

# -- descriptors and the reply

attack(
    "write-to-every-descriptor",
    """
    for fd in range(0, 1024):
        for text in (b"\\0\\0\\0\\x02{}", b"\\xff" * 64):
            try:
                os.write(fd, text)
            except OSError:
                pass
    return "no"
    """,
    control=False,
)
for _name, _body in {
    "nan": b'{"done": {"outcome": "value", "value": NaN}}',
    "infinity": b'{"done": {"outcome": "value", "value": 1e999}}',
    "two-keys": b'{"done": {"outcome": "value", "value": {"a": 1, "a": 2}}}',
    "no-utf-8": b'{"done": {"outcome": "value", "value": "\xff"}}',
    "deep": b'{"done": {"outcome": "value", "value": ' + b"[" * 5000 + b"]" * 5000 + b"}}",
    "system-failure": b'{"done": {"outcome": "system_failure", "error": "provider down"}}',
    "list": b'["done"]',
    "number": b"7",
    "huge-integer": b'{"done": {"outcome": "value", "value": ' + b"9" * 5000 + b"}}",
    "wrong-types": b'{"done": {"outcome": ["value"], "error": 3}}',
    "text-output": b'{"out": 5}',
}.items():
    attack(
        f"forged-reply-{_name}",
        f"""
        body = {_body!r}
        for fd in range(3, 64):
            try:
                os.write(fd, len(body).to_bytes(4, "big") + body)
            except OSError:
                pass
        os._exit(0)
        """,
        control=False,
    )
attack(
    "forged-length",
    """
    for fd in range(3, 64):
        try:
            os.write(fd, b"\\xff\\xff\\xff\\xff")
            while True:
                os.write(fd, b"x" * 65536)
        except OSError:
            pass
    """,
    control=False,
)
attack(
    "flood-of-small-messages",
    """
    message = b'\\0\\0\\0\\x0a{"out":""}' * 1000
    for fd in range(3, 64):
        try:
            while True:
                os.write(fd, message)
        except OSError:
            pass
    """,
    control=False,
)
attack(
    "half-a-reply",
    """
    import time
    for fd in range(3, 64):
        try:
            os.write(fd, b"\\0\\0\\1\\0{")
        except OSError:
            pass
    time.sleep(3600)
    """,
    control=False,
)
attack("exit-quietly", "os._exit(0)", control=False)
attack("close-the-channel", "os.closerange(3, 1024)\nreturn 'ESCAPED'", control=False)
attack(
    "patched-json",
    """
    import json
    json.dumps = lambda *a, **k: '{"done": {"outcome": "system_failure", "error": "x"}}'
    return 1
    """,
    control=False,
)
attack(
    "patched-builtins",
    """
    import builtins
    builtins.isinstance = lambda *a: True
    builtins.len = lambda *a: -1
    builtins.repr = lambda *a: 7
    return [1, "a"]
    """,
    control=False,
)
attack(
    "patched-exit",
    """
    os._exit = lambda code: None
    return 1
    """,
    control=False,
)
attack(
    "evil-repr",
    """
    class Evil:
        def __repr__(self):
            os._exit(9)
    return Evil()
    """,
    control=False,
)
attack(
    "evil-repr-loop",
    """
    class Evil:
        def __repr__(self):
            while True:
                pass
    return Evil()
    """,
    control=False,
)
attack(
    "evil-string",
    """
    class Evil(str):
        def __str__(self): raise SystemExit(3)
        def __len__(self): return 10**18
        def encode(self, *a): return b"x" * 10**9
    return Evil("text")
    """,
    control=False,
)
attack(
    "evil-exception",
    """
    class Evil(Exception):
        def __str__(self): raise MemoryError
    raise Evil
    """,
    control=False,
)
attack(
    "evil-mapping",
    """
    import collections.abc
    class Endless(collections.abc.Mapping):
        def __len__(self): return 1
        def __iter__(self):
            number = 0
            while True:
                yield number
                number += 1
        def __getitem__(self, key): return self
    return Endless()
    """,
    control=False,
)
attack("exit-by-exception", "raise SystemExit('done')", control=False)
attack("interrupt-by-exception", "raise KeyboardInterrupt", control=False)
attack("self-reference", "a = []\na.append(a)\nreturn a", control=False)
attack("lone-surrogates", 'return {"\\ud800": "\\udfff" * 10}', control=False)
attack("surrogates-printed", 'print("\\ud800")\nreturn 1', control=False)

# -- bombs

for _name, _bomb in {
    "loop": "while True: pass",
    "loop-in-native-code": "pow(7, 10**9)",
    "regular-expression": 'import re\nre.match("(a+)+$", "a" * 64 + "b")',
    "sleep": "import time\ntime.sleep(3600)",
    "sleep-against-signals": (
        "import signal, time\n"
        "for number in range(1, 65):\n"
        "    try: signal.signal(number, signal.SIG_IGN)\n"
        "    except (OSError, ValueError): pass\n"
        "while True: time.sleep(60)"
    ),
    "stop-itself": "import signal\nos.kill(os.getpid(), signal.SIGSTOP)\nwhile True: pass",
    "read-for-ever": 'open("/dev/zero", "rb").read()',
    "wait-on-a-pipe": "a, b = os.pipe()\nos.read(a, 1)",
    "memory": "x = []\nwhile True: x.append(bytearray(10**7))",
    "memory-at-once": "x = bytearray(10**12)",
    "memory-by-mapping": "import mmap\nx = [mmap.mmap(-1, 10**9) for _ in range(1000)]",
    "memory-by-text": 'x = "a"\nwhile True: x += x',
    "recursion": "import sys\nsys.setrecursionlimit(10**9)\ndef g(): g()\ng()",
    "crash": "import ctypes\nctypes.string_at(0)",
    "abort": "os.abort()",
    "kill-itself": "import signal\nos.kill(os.getpid(), signal.SIGKILL)\nwhile True: pass",
    "fork-bomb": "while True:\n    try: os.fork()\n    except OSError: pass",
    "thread-bomb": (
        "import threading, time\nthreads = []\n"
        "while True:\n"
        "    thread = threading.Thread(target=time.sleep, args=(60,), daemon=True)\n"
        "    thread.start(); threads.append(thread)"
    ),
    "disk": 'i = 0\nwhile True:\n    open(f"{i}", "wb").write(b"x" * 10**7); i += 1',
    "one-large-file": 'f = open("x", "wb")\nwhile True: f.write(b"x" * 10**7)',
    "sparse-file": 'open("x", "wb").truncate(10**15)',
    "many-files": 'i = 0\nwhile True:\n    open(f"{i}", "w").close(); i += 1',
    "deep-folders": 'while True:\n    os.mkdir("d"); os.chdir("d")',
    "descriptors": 'files = []\nwhile True: files.append(open("/dev/null"))',
    "pipes": "pipes = []\nwhile True: pipes.append(os.pipe())",
    "output": 'while True: print("x" * 10**5)',
    "output-to-descriptors": (
        "while True:\n    for fd in (1, 2):\n        os.write(fd, b'x' * 10**5)"
    ),
    "result-of-100-MB": 'return "x" * 10**8',
    "result-of-many-items": "return list(range(10**7))",
    "result-nested": "x = []\nfor _ in range(10**5): x = [x]\nreturn x",
    "result-endless": "import itertools\nreturn (i for i in itertools.count())",
    "exception-of-100-MB": 'raise ValueError("x" * 10**8)',
    "integer-of-a-million-digits": "return 10**1_000_000",
    "code-of-its-own": 'exec("(" * 10**5 + ")" * 10**5)',
}.items():
    attack(f"bomb-{_name}", _bomb, control=False)

attack(
    "bomb-disk-deleted-but-mapped",
    """
    import ctypes, time
    libc = ctypes.CDLL(None)
    size = ctypes.c_size_t
    for _ in range(20):
        fd = os.open("x", os.O_RDWR | os.O_CREAT)
        left = 3 << 20
        while left:
            left -= os.write(fd, b"x" * left)
        libc.mmap(None, size(4096), 1, 1, fd, size(0))  # keeps the file, though closed and gone
        os.unlink("x"); os.close(fd)
        time.sleep(0.02)
    return "ESCAPED"
    """,
    control=True,
)
attack(
    "bomb-disk-behind-churn",
    """
    import threading, time
    def churn(name):
        while True:
            fd = os.open(name, os.O_CREAT | os.O_RDWR); os.unlink(name); os.close(fd)
    for name in "abc":
        threading.Thread(target=churn, args=(name,), daemon=True).start()
    for number in range(20):
        with open(f"big-{number}", "wb") as file:
            file.write(b"x" * (3 << 20))
        time.sleep(0.02)
    return "ESCAPED"
    """,
    control=True,
)

# -- after the reply

attack(
    "thread-after-the-reply",
    """
    import threading
    def spin():
        while True:
            pass
    for _ in range(4):
        threading.Thread(target=spin, daemon=True).start()
    return 1
    """,
    control=False,
)
attack(
    "waiting-thread-after-the-reply",
    """
    import threading, time
    threading.Thread(target=time.sleep, args=(3600,), daemon=False).start()
    return 1
    """,
    control=False,
)
attack(
    "at-exit",
    """
    import atexit, time
    atexit.register(time.sleep, 3600)
    return 1
    """,
    control=False,
)
