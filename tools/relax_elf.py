"""Let a shared object load on a host whose C or C++ library is older than it asks for.

The ml-metadata and tensorflow-data-validation wheels are linked against glibc 2.38
and the libstdc++ of GCC 14. Debian 12 and Ubuntu 22.04 have older ones, although all
that the wheels use of the newer ones is a handful of functions which the older ones
have under another name. This tool edits the ELF tables of such a file so that it
binds to those:

* an undefined symbol which the host lacks is renamed to its equivalent, or made weak
  if nothing ever calls it;
* the version which it asked for is flagged as weak, since the loader refuses a file
  outright when a version it needs is absent.

A file that loads already is left alone. The result is written beside the file and
moved over it, never into it: package installers hard-link files from their caches. The
original stays beside it as NAME.original.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import struct
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

# Names in the order of preference; the first that the file's own string table holds is
# taken, because the table cannot grow. An empty tuple stands for "never called": the
# symbol is made weak, so it resolves to null.
EQUIVALENTS: dict[str, tuple[str, ...]] = {
    # C23 only adds binary literals ("0b1") to what these parse.
    "__isoc23_strtol": ("strtol",),
    "__isoc23_strtoul": ("strtoul",),
    "__isoc23_strtoll": ("strtoll",),
    "__isoc23_strtoull": ("strtoull",),
    # Called when an exception leaves a noexcept function: the process ends either way.
    "__cxa_call_terminate": ("_ZSt9terminatev", "abort"),
    # Named by <iostream> only to demand a libstdc++ that sets up std::cout by itself. An
    # older one does so as soon as any library built against it is loaded, as TensorFlow is.
    "_ZSt21ios_base_library_initv": (),
}

_SHT_DYNSYM = 11
_SHT_VERNEED = 0x6FFFFFFE
_SHT_VERSYM = 0x6FFFFFFF
_SHN_UNDEF = 0
_STB_WEAK = 2
_VER_FLG_WEAK = 2
_VERSYM_MASK = 0x7FFF

_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
_SECTION = struct.Struct("<IIQQQQIIQQ")
_SYMBOL = struct.Struct("<IBBHQQ")
_VERNEED = struct.Struct("<HHIII")
_VERNAUX = struct.Struct("<IHHII")
_HALF = struct.Struct("<H")
_WORD = struct.Struct("<I")


class RelaxError(Exception):
    """The file cannot be made to load; the message says why."""


@dataclass(frozen=True)
class Section:
    """The place of a table in the file, and the index of the section it refers to."""

    kind: int
    offset: int
    size: int
    link: int


@dataclass(frozen=True)
class Need:
    """A version of a library that the file asks for."""

    library: str
    version: str
    index: int
    flags_offset: int


@dataclass(frozen=True)
class Symbol:
    """An undefined symbol that is bound to a version of a library."""

    name: str
    offset: int
    versym_offset: int
    need: Need


class SharedObject:
    """The tables of a 64-bit little-endian ELF file which the dynamic loader binds by."""

    def __init__(self, data: bytes) -> None:
        """Read the section table of `data`; raise RelaxError if it is no such file."""
        self.data = bytearray(data)
        if bytes(self.data[:6]) != b"\x7fELF\x02\x01":
            raise RelaxError("not a 64-bit little-endian ELF file")
        header = self._unpack(_HEADER, 0)
        start, entry_size, count = header[6], header[11], header[12]
        self._sections = []
        for i in range(count):
            row = self._unpack(_SECTION, start + i * entry_size)
            self._sections.append(Section(row[1], row[4], row[5], row[6]))
        self._dynsym = self._section(_SHT_DYNSYM)
        self._versym = self._section(_SHT_VERSYM)
        self._verneed = self._section(_SHT_VERNEED)
        if not self._dynsym.link < count:
            raise RelaxError("the symbol table names no string table")
        self._dynstr = self._sections[self._dynsym.link]
        self.needs = {need.index: need for need in self._read_needs()}

    def symbols(self) -> Iterator[Symbol]:
        """Yield the undefined symbols that ask for a version of a library."""
        for i in range(self._dynsym.size // _SYMBOL.size):
            offset = self._dynsym.offset + i * _SYMBOL.size
            name, _, _, section, _, _ = self._unpack(_SYMBOL, offset)
            versym_offset = self._versym.offset + i * _HALF.size
            (index,) = self._unpack(_HALF, versym_offset)
            need = self.needs.get(index & _VERSYM_MASK)
            if section == _SHN_UNDEF and need is not None:
                yield Symbol(self._string(name), offset, versym_offset, need)

    def find_name(self, name: str) -> int | None:
        """Return the place of `name` in the string table, maybe as a longer name's tail."""
        table = self.data[self._dynstr.offset : self._dynstr.offset + self._dynstr.size]
        place = table.find(name.encode() + b"\0")
        return None if place < 0 else place

    def rename(self, symbol: Symbol, name_place: int, need: Need) -> None:
        """Bind `symbol` to another name, at another version."""
        _WORD.pack_into(self.data, symbol.offset, name_place)
        _HALF.pack_into(self.data, symbol.versym_offset, need.index)

    def weaken(self, symbol: Symbol) -> None:
        """Let `symbol` resolve to null where no library has it."""
        info_offset = symbol.offset + _WORD.size
        self.data[info_offset] = (_STB_WEAK << 4) | (self.data[info_offset] & 0xF)

    def make_optional(self, need: Need) -> None:
        """Let the file load where the library lacks this version."""
        (flags,) = self._unpack(_HALF, need.flags_offset)
        _HALF.pack_into(self.data, need.flags_offset, flags | _VER_FLG_WEAK)

    def _section(self, kind: int) -> Section:
        for section in self._sections:
            if section.kind == kind:
                if section.offset + section.size > len(self.data):
                    break
                return section
        raise RelaxError(f"no complete section of type {kind:#x}: truncated, or not dynamic")

    def _read_needs(self) -> Iterator[Need]:
        library_offset, next_library = self._verneed.offset, 1
        while next_library:
            _, count, library, first, next_library = self._unpack(_VERNEED, library_offset)
            offset = library_offset + first
            for _ in range(count):
                _, _, index, version, step = self._unpack(_VERNAUX, offset)
                yield Need(self._string(library), self._string(version), index, offset + 4)
                offset += step
            library_offset += next_library

    def _string(self, place: int) -> str:
        start = self._dynstr.offset + place
        end = self.data.find(b"\0", start, self._dynstr.offset + self._dynstr.size)
        if place >= self._dynstr.size or end < 0:
            raise RelaxError(f"a name at {place:#x} lies outside the string table")
        return self.data[start:end].decode("ascii", "replace")

    def _unpack(self, layout: struct.Struct, offset: int) -> tuple:
        if offset + layout.size > len(self.data):
            raise RelaxError(f"truncated: a table at {offset:#x} ends outside the file")
        return layout.unpack_from(self.data, offset)


def host_offers(library: str, name: str, version: str) -> bool:
    """Tell whether the host's `library` has the function `name` at `version`."""
    try:
        handle = ctypes.CDLL(library)._handle
    except OSError:
        return False
    dlvsym = ctypes.CDLL(None).dlvsym
    dlvsym.restype = ctypes.c_void_p
    dlvsym.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_char_p]
    # The default scope too (no handle), since the loader's own symbols are found only there.
    return any(dlvsym(scope, name.encode(), version.encode()) for scope in (handle, None))


def load_error(path: Path, python: str = sys.executable) -> str | None:
    """Load the file in a child process; return the loader's complaint, None if it loads.

    A child, because a library that is loaded once stays loaded, and a broken one may
    crash the process.
    """
    code = "import ctypes, sys; ctypes.CDLL(sys.argv[1])"
    child = subprocess.run([python, "-c", code, str(path)], capture_output=True, check=False)
    if child.returncode == 0:
        return None
    lines = child.stderr.decode("utf-8", "replace").strip().splitlines()
    return lines[-1] if lines else f"the loader ended with status {child.returncode}"


def relax(data: bytes) -> bytes:
    """Return the file's content bound to what the host has.

    Raises RelaxError if it needs something that has no known equivalent.
    """
    elf = SharedObject(data)
    for symbol in list(elf.symbols()):
        if host_offers(symbol.need.library, symbol.name, symbol.need.version):
            continue
        wanted = f"{symbol.name}@{symbol.need.version} of {symbol.need.library}"
        if symbol.name not in EQUIVALENTS:
            raise RelaxError(f"this host lacks {wanted}, and no equivalent is known")
        if not EQUIVALENTS[symbol.name]:
            elf.weaken(symbol)
        elif not _rebind(elf, symbol):
            raise RelaxError(f"this host lacks {wanted}, and the file names no equivalent")
        elf.make_optional(symbol.need)
    return bytes(elf.data)


def _rebind(elf: SharedObject, symbol: Symbol) -> bool:
    """Rename the symbol to the first equivalent that file and host both have."""
    for name in EQUIVALENTS[symbol.name]:
        place = elf.find_name(name)
        if place is None:
            continue
        for need in elf.needs.values():
            if host_offers(need.library, name, need.version):
                elf.rename(symbol, place, need)
                return True
    return False


def original_of(path: Path) -> Path:
    """Return where the unedited file is kept once `path` was edited."""
    return path.with_name(path.name + ".original")


def relax_file(path: Path, python: str = sys.executable) -> bool:
    """Make the file load on this host; return False if it did already.

    Raises RelaxError, with the file untouched, if that cannot be done.
    """
    complaint = load_error(path, python)
    if complaint is None:
        return False
    original = path.read_bytes()
    edited = relax(original)
    if edited == original:
        raise RelaxError(f"not a matter of library versions: {complaint}")
    descriptor, name = tempfile.mkstemp(dir=str(path.parent), prefix=path.name, suffix=".new")
    copy = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(edited)
        shutil.copymode(str(path), str(copy))
        complaint = load_error(copy, python)
        if complaint is not None:
            raise RelaxError(f"still does not load: {complaint}")
        with contextlib.suppress(FileExistsError):
            os.link(str(path), str(original_of(path)))
        os.replace(str(copy), str(path))
    finally:
        with contextlib.suppress(FileNotFoundError):
            copy.unlink()
    return True


def main(arguments: list[str]) -> int:
    """Relax each file named; report one line for each."""
    for argument in arguments:
        try:
            changed = relax_file(Path(argument))
        except (OSError, RelaxError) as error:
            print(f"relax_elf: {argument}: {error}", file=sys.stderr)
            return 1
        print(f"{argument}: {'made to load on this host' if changed else 'loads already'}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
