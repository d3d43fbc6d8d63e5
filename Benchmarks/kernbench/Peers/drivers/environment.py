"""Builds the environment of a peer below a cache folder, once, and prints where it lies.

    environment.py PEER CACHE

Prints lines of JSON: `progress` any number of times, then `folder`, or `error` and exit code 1. A build that was interrupted goes on
where it stopped: it lies in a folder of another name until it is complete, under a lock.
"""

import configparser
import ctypes
import fcntl
import glob
import hashlib
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import tarfile

HERE = os.path.dirname(os.path.abspath(__file__))


class Failed(Exception):
    """Why there is no environment, in a line."""


def say(**fields):
    print(json.dumps(fields), flush=True)


def processor():
    """What code for the native CPU depends on."""
    try:
        with open("/proc/cpuinfo") as file:
            return next((line for line in file if line.startswith(("flags", "Features"))), "")
    except OSError:
        return platform.processor()


def environment_name(peer, pins):
    """The peer's name and a hash of all that the environment is made from."""
    parts = [*sorted(pins.items()), platform.python_version(), platform.machine(), sys.platform]
    if "source" in pins:
        parts.append(processor())
    return f"{peer}-{hashlib.sha256(repr(parts).encode()).hexdigest()[:12]}"


def die_with_parent():
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)


def run(command, what, environment=None, marks=("ERROR:", "error:", "Error"), shown=""):
    """Runs a command, its lines that begin with `shown` as progress; on failure the first line with a mark is the reason, or the last one."""
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", env=environment,
        preexec_fn=die_with_parent)
    lines = []
    for line in process.stdout:
        if line.strip():
            lines.append(line.strip())
            if line.startswith(shown):
                say(progress=f"{what}: {line.strip()}")
    if process.wait() != 0:
        reason = next((line for line in lines if any(mark in line for mark in marks)), lines[-1] if lines else f"exit code {process.returncode}")
        raise Failed(f"{what}: {reason}")


class Build:
    """The steps of one environment; each is done once."""

    def __init__(self, folder, pins):
        self.folder, self.pins = folder, pins
        self.python = os.path.join(folder, "bin", "python")

    def step(self, name, body):
        mark = os.path.join(self.folder, f"{name}.done")
        if not os.path.exists(mark):
            body()
            open(mark, "w").close()

    def all(self):
        self.step("environment", self.create)
        if "packages" in self.pins:
            self.step("packages", lambda: self.pip("install", *self.pins["packages"].split()))
        if "source" in self.pins:
            self.step("source", self.fetch)
            self.step("libraries", self.compile)

    def create(self):
        run([sys.executable, "-m", "venv", "--clear", self.folder], "python3 -m venv, which needs Debian's package python3-venv")

    def pip(self, command, *arguments):
        options = ["--disable-pip-version-check", "--progress-bar", "off", "--no-input"]
        run([self.python, "-m", "pip", command, *options, *arguments], f"pip {command}", self.variables())

    def variables(self):
        return {**os.environ, "PATH": os.path.join(self.folder, "bin") + os.pathsep + os.environ.get("PATH", "")}

    def fetch(self):
        compilers = [os.environ.get("CXX", "c++"), "g++", "clang++"]
        if not any(shutil.which(compiler) for compiler in compilers):
            raise Failed(f"no C++ compiler: none of {', '.join(dict.fromkeys(compilers))} is in PATH; Debian's package g++ has one")
        self.pip("install", *self.pins["build"].split())
        packages = os.path.join(self.folder, "source")
        self.pip("download", "--no-deps", "--no-build-isolation", "--no-binary", ":all:", "--dest", packages, self.pins["source"])
        for path in glob.glob(os.path.join(packages, "*.tar.gz")):
            with tarfile.open(path) as archive:
                archive.extractall(packages, **({"filter": "data"} if hasattr(tarfile, "data_filter") else {}))
            os.unlink(path)

    def compile(self):
        try:
            found = self.compile_ggml()
        except Failed as reason:
            say(progress=f"{reason}; building the whole package")
            found = self.compile_package()
        libraries = os.path.join(self.folder, "libraries")
        shutil.rmtree(libraries, ignore_errors=True)
        os.mkdir(libraries)
        for path in found:
            shutil.copy(path, libraries, follow_symlinks=False)
        shutil.rmtree(os.path.join(self.folder, "source"))

    def compile_ggml(self):
        """ggml alone, a tenth of the package."""
        sources = glob.glob(os.path.join(self.folder, "source", "*", "vendor", "llama.cpp", "ggml"))
        if len(sources) != 1:
            raise Failed(f"{self.pins['source']} has no vendor/llama.cpp/ggml")
        # CMake wants this file, which the source package lacks.
        open(os.path.join(sources[0], "ggml.pc.in"), "a").close()
        build = os.path.join(self.folder, "source", "build")
        run([
            self.python, "-m", "cmake", "-S", sources[0], "-B", build, "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Release", "-DBUILD_SHARED_LIBS=ON",
            "-DGGML_BUILD_TESTS=OFF", "-DGGML_BUILD_EXAMPLES=OFF", "-DCMAKE_BUILD_WITH_INSTALL_RPATH=ON", "-DCMAKE_INSTALL_RPATH=$ORIGIN",
            *self.pins["cmake"].split(),
        ], "cmake", self.variables(), marks=("CMake Error",))
        run([self.python, "-m", "ninja", "-C", build], "compiling ggml", self.variables(), shown="[")
        return glob.glob(os.path.join(build, "src", "**", "libggml*.so*"), recursive=True)

    def compile_package(self):
        variables = {**self.variables(), "CMAKE_ARGS": self.pins["cmake"], "CMAKE_GENERATOR": "Ninja"}
        (package,) = glob.glob(os.path.join(self.folder, "source", "*", "pyproject.toml"))
        run([
            self.python, "-m", "pip", "install", "--disable-pip-version-check", "--no-input", "--verbose", "--no-deps", "--no-build-isolation",
            os.path.dirname(package),
        ], "compiling llama.cpp", variables, shown="  [")
        return glob.glob(os.path.join(self.folder, "lib", "python*", "site-packages", "llama_cpp", "lib", "libggml*.so*"))


def environment(peer, cache):
    """The folder of a complete environment."""
    file = configparser.ConfigParser(interpolation=None)
    file.read(os.path.join(HERE, "pins.ini"))
    if peer not in file:
        raise Failed(f"pins.ini has no section for {peer}")
    pins = dict(file[peer])
    name = environment_name(peer, pins)
    complete, partial = os.path.join(cache, name), os.path.join(cache, name + ".partial")
    if os.path.isdir(complete):
        return complete
    os.makedirs(cache, exist_ok=True)
    with open(os.path.join(cache, name + ".lock"), "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(progress="waiting for another kernbench that builds it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        if not os.path.isdir(complete):
            Build(partial, pins).all()
            os.rename(partial, complete)
    return complete


def main():
    die_with_parent()
    try:
        say(folder=environment(sys.argv[1], sys.argv[2]))
    except (Failed, OSError, tarfile.TarError) as reason:
        say(error=str(reason))
        sys.exit(1)


if __name__ == "__main__":
    main()
