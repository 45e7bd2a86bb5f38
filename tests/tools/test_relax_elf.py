"""relax_elf on the real extension modules, and on small ones that load nowhere."""

import contextlib
import ctypes
import os
import random
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from tools.make_venv import RELAXED
from tools.relax_elf import RelaxError, load_error, main, original_of, relax, relax_file

PACKAGES = Path(sysconfig.get_path("platlib"))

# A C library from the future: strtol goes by its C23 name there, and nothing has that version.
STUB = """
void abort(void) {}
long strtol(const char *text, char **end, int base) { return 0; }
long __isoc23_strtol(const char *text, char **end, int base) { return 0; }
long future_function(const char *text, char **end, int base) { return 0; }
void _ZSt21ios_base_library_initv(void) {}
"""
VERSIONS = """
GLIBC_2.2.5 { abort; strtol; };
GLIBC_9.99 { __isoc23_strtol; future_function; _ZSt21ios_base_library_initv; } GLIBC_2.2.5;
"""
USER = """
long FUNCTION(const char *, char **, int);
void abort(void);
void _ZSt21ios_base_library_initv(void);
void (*const never_called)(void) = _ZSt21ios_base_library_initv;
long parse(const char *text) {
    if (!text) abort();
    return FUNCTION(text, 0, 10);
}
"""


@pytest.fixture(params=RELAXED, ids=[Path(name).stem for name in RELAXED])
def real(request, tmp_path):
    """A real extension module as its wheel has it, hard-linked from a cache of packages."""
    installed = PACKAGES / request.param
    original = original_of(installed)
    cached = tmp_path / "cache" / installed.name
    cached.parent.mkdir()
    shutil.copy(original if original.exists() else installed, cached)
    path = tmp_path / installed.name
    os.link(cached, path)
    return path, cached


@pytest.fixture
def build(tmp_path):
    """Compile a shared object that parses numbers by a function of the C library's future."""

    def compile_c(name, source, *options):
        (tmp_path / f"{name}.c").write_text(source)
        command = ["gcc", "-shared", "-fPIC", "-nostdlib", "-fno-builtin", "-w", f"{name}.c"]
        subprocess.run([*command, "-o", name, *options], cwd=tmp_path, check=True)
        return tmp_path / name

    def make(function="__isoc23_strtol"):
        (tmp_path / "versions").write_text(VERSIONS)
        compile_c("libc.so.6", STUB, "-Wl,-soname,libc.so.6", "-Wl,--version-script=versions")
        return compile_c("user.so", USER, f"-DFUNCTION={function}", "./libc.so.6")

    return make


@pytest.mark.parametrize("name", RELAXED)
def test_the_installed_modules_load(name):
    assert load_error(PACKAGES / name) is None


def test_a_real_module_is_made_to_load_or_left_alone(real):
    path, cached = real
    before = cached.read_bytes()
    loaded_before = load_error(path) is None

    assert relax_file(path) is not loaded_before
    assert load_error(path) is None
    assert cached.read_bytes() == before, "the package cache was written to"
    assert path.samefile(cached) is loaded_before

    after = path.read_bytes()
    assert len(after) == len(before)
    assert relax_file(path) is False, "the second call is a no-op"
    assert path.read_bytes() == after


def test_ml_metadata_works():
    code = (
        "from ml_metadata import metadata_store, proto\n"
        "config = proto.metadata_store_pb2.ConnectionConfig()\n"
        "config.fake_database.SetInParent()\n"
        "store = metadata_store.MetadataStore(config)\n"
        "kind = store.put_artifact_type(proto.ArtifactType(name='Model'))\n"
        "store.put_artifacts([proto.Artifact(type_id=kind, uri='/model')])\n"
        "print(store.get_artifacts_by_type('Model')[0].uri)\n"
    )
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert output.stdout.strip() == "/model", output.stderr


def test_an_edited_module_computes_by_the_equivalent(build):
    path = build()
    path.chmod(0o750)
    pristine = path.read_bytes()
    assert "GLIBC_9.99" in load_error(path)

    assert relax_file(path) is True
    assert load_error(path) is None
    assert ctypes.CDLL(str(path)).parse(b"42") == 42
    assert path.stat().st_mode & 0o777 == 0o750
    assert original_of(path).read_bytes() == pristine
    left = {"libc.so.6", "libc.so.6.c", "user.so", "user.so.c", "user.so.original", "versions"}
    assert {entry.name for entry in path.parent.iterdir()} == left


def test_a_symbol_without_an_equivalent_is_named(build):
    path = build(function="future_function")
    pristine = path.read_bytes()
    with pytest.raises(RelaxError, match=r"lacks future_function@GLIBC_9\.99 of libc\.so\.6"):
        relax_file(path)
    assert path.read_bytes() == pristine
    assert not original_of(path).exists()


def test_another_reason_not_to_load_is_told(tmp_path, build):
    path = build()
    relax_file(path)
    stranger = tmp_path / "stranger.so"
    stranger.write_bytes(path.read_bytes().replace(b"libc.so.6", b"libc.so.X"))
    with pytest.raises(RelaxError, match=r"libc\.so\.X"):
        relax_file(stranger)


@pytest.mark.parametrize(
    "content", [b"", b"\x7fELF", b"#!/bin/sh\n", b"\x7fELF\x02\x01" + bytes(9)]
)
def test_what_is_no_shared_object_is_an_error(tmp_path, content, capsys):
    path = tmp_path / "module.so"
    path.write_bytes(content)
    assert main([str(path)]) == 1
    assert str(path) in capsys.readouterr().err
    assert path.read_bytes() == content
    assert list(tmp_path.iterdir()) == [path]


def test_a_truncated_file_is_an_error(build):
    data = build().read_bytes()
    for size in range(0, len(data) - 1, 97):
        with pytest.raises(RelaxError):
            relax(data[:size])


def test_a_damaged_file_never_ends_in_another_error(build):
    data = build().read_bytes()
    dice = random.Random(0)
    for _ in range(300):
        damaged = bytearray(data)
        for _ in range(8):
            # The tables lie at both ends of the file.
            place = dice.choice((dice.randrange(2048), dice.randrange(-2048, 0)))
            damaged[place] = dice.randrange(256)
        with contextlib.suppress(RelaxError):
            assert len(relax(bytes(damaged))) == len(data)


def test_the_command_tells_what_it_did(build, capsys):
    path = build()
    assert main([str(path)]) == 0
    assert main([str(path)]) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"{path}: made to load on this host",
        f"{path}: loads already",
    ]
