"""What a disk may hold after the power failed, from the log of disk_recorder.cpp.

The model is that of docs/decisions/0090: a call that was not synced may have happened or not, each by
itself. What was synced is there:

- fsync of a file: its bytes, length and mode, but not its name;
- fsync of a directory: its names, and its mode;
- fdatasync: bytes and length;
- syncfs: everything.

A rename is one change, wherever its two directories are.
"""

import os
import stat
from dataclasses import dataclass, field


@dataclass
class Call:
    number: int
    kind: str
    fields: list
    data: bytes = b""


def parse_log(log):
    calls, at = [], 0
    while at < len(log):
        end = log.index(b"\n", at)
        number, kind, *fields = log[at:end].decode().split(" ")
        at = end + 1
        fields = [bytes.fromhex(f[1:]) if f.startswith("=") else f for f in fields]
        data = b""
        if kind == "write":
            data = log[at : at + int(fields[2])]
            at += len(data)
        calls.append(Call(int(number), kind, fields, data))
    return calls


@dataclass(eq=False)
class Inode:
    kind: str  # "file", "directory" or "symlink"
    content: bytes = b""  # of a file or a symlink, when the log begins
    mode: int = 0o755
    names: dict = field(default_factory=dict)  # of a directory


@dataclass(eq=False)
class Change:
    """A part of a call that a disk may have or lack."""

    number: int
    kind: str  # "names", "bytes", "length" or "mode"
    inodes: tuple  # an fsync of any of them makes it last
    value: object
    is_lasting: bool = False


class Recording:
    """A run of a program, as changes of the tree at `root`, which is as it was before the run."""

    def __init__(self, root, calls=()):
        self.known = {}  # inode number -> Inode, as of the last call
        self.root = self.read(os.fsencode(root))
        self.steps = []  # (number of the call, its changes, what it syncs: an Inode, "all" or None)
        self.live = {}
        self.copy_live(self.root)

    def read(self, path):
        info = os.lstat(path)
        if info.st_ino in self.known and not stat.S_ISDIR(info.st_mode):
            return self.known[info.st_ino]
        if stat.S_ISLNK(info.st_mode):
            inode = Inode("symlink", os.readlink(path))
        elif stat.S_ISDIR(info.st_mode):
            names = {name: self.read(os.path.join(path, name)) for name in os.listdir(path)}
            inode = Inode("directory", mode=info.st_mode & 0o7777, names=names)
        elif stat.S_ISREG(info.st_mode):
            with open(path, "rb") as file:
                inode = Inode("file", file.read(), info.st_mode & 0o7777)
        else:
            inode = Inode("other")
        self.known[info.st_ino] = inode
        return inode

    def copy_live(self, inode):
        """The names as the running system sees them, beside those of the disk at the beginning."""
        if inode.kind == "directory":
            self.live[inode] = dict(inode.names)
            for child in inode.names.values():
                self.copy_live(child)

    def add(self, calls):
        for call in calls:
            changes, syncs = self.changes_of(call)
            self.steps.append((call.number, changes, syncs))

    def changes_of(self, call):
        handler = getattr(self, "on_" + call.kind, None)
        made = handler(call) if handler else None
        if isinstance(made, tuple):
            return [], made[0]
        return made or [], None

    def directory(self, number):
        return self.known.get(int(number)) if number != "?" else None

    def names(self, call, *entries):
        """One change of names: (directory, name, inode or None)..."""
        entries = [one for one in entries if one[0] in self.live]
        for directory, name, inode in entries:
            if inode is None:
                self.live[directory].pop(name, None)
            else:
                self.live[directory][name] = inode
        if not entries:
            return []  # Outside of the tree.
        return [Change(call.number, "names", tuple(one[0] for one in entries), entries)]

    def born(self, call, kind, content=b""):
        parent, name, number = call.fields[:3]
        inode = Inode(kind, content, int(call.fields[3]) if kind != "symlink" else 0o777)
        self.known[int(number)] = inode
        if kind == "directory":
            self.live[inode] = {}
        return self.names(call, (self.directory(parent), name, inode))

    def on_create(self, call):
        return self.born(call, "file")

    def on_mkdir(self, call):
        return self.born(call, "directory")

    def on_symlink(self, call):
        return self.born(call, "symlink", call.fields[3])

    def on_link(self, call):
        parent, name, number = call.fields
        return self.names(call, (self.directory(parent), name, self.known.get(int(number))))

    def on_unlink(self, call):
        parent, name = call.fields
        return self.names(call, (self.directory(parent), name, None))

    def moved(self, call):
        from_number, from_name, to_number, to_name = call.fields
        source, target = self.directory(from_number), self.directory(to_number)
        there = self.live.get(source, {}).get(from_name)
        return source, from_name, target, to_name, there

    def on_rename(self, call):
        source, from_name, target, to_name, there = self.moved(call)
        return self.names(call, (source, from_name, None), (target, to_name, there))

    def on_exchange(self, call):
        source, from_name, target, to_name, there = self.moved(call)
        other = self.live.get(target, {}).get(to_name)
        return self.names(call, (source, from_name, other), (target, to_name, there))

    def of_file(self, call, kind, value):
        inode = self.known.get(int(call.fields[0]))
        return [Change(call.number, kind, (inode,), value)] if inode else []

    def on_write(self, call):
        return self.of_file(call, "bytes", (int(call.fields[1]), call.data))

    def on_size(self, call):
        return self.of_file(call, "length", int(call.fields[1]))

    on_empty = on_allocate = on_size

    def on_mode(self, call):
        return self.of_file(call, "mode", int(call.fields[1]))

    def on_sync(self, call):
        return (self.known.get(int(call.fields[0])),)

    def on_datasync(self, call):
        return (("data", self.known.get(int(call.fields[0]))),)

    def on_syncfs(self, _call):
        return ("all",)

    def crash(self, point):
        """The changes of the calls before number `point`, each with whether it lasts."""
        changes = []
        for number, made, syncs in self.steps:
            if number >= point:
                break
            for change in made:
                changes.append(Change(change.number, change.kind, change.inodes, change.value))
            if syncs is not None:
                for change in changes:
                    change.is_lasting |= lasts(change, syncs)
        return changes


def lasts(change, syncs):
    if syncs == "all":
        return True
    if isinstance(syncs, tuple):
        return syncs[1] in change.inodes and change.kind in ("bytes", "length")
    return syncs in change.inodes


# How a crash treats the changes that need not last. Each gives, for a change, the part of it that
# the disk has: None for nothing, "all", or for bytes "half" and "zeros" (the length without the bytes).


def nothing(_changes, _dice):
    return lambda change: None


def names_only(_changes, _dice):
    """Names and modes are there, what was written is not: files are empty."""
    return lambda change: "all" if change.kind in ("names", "mode") else None


def zeros(_changes, _dice):
    """Names and lengths are there, and zeros for bytes."""
    return lambda change: "zeros" if change.kind == "bytes" else "all"


def torn(_changes, _dice):
    return lambda change: "half" if change.kind == "bytes" else "all"


def journal(changes, dice):
    """As a journalling file system: names in their order up to an instant, and no bytes."""
    until = dice.choice(changes).number if changes else 0
    return lambda change: "all" if change.kind != "bytes" and change.number <= until else None


def any_order(_changes, dice):
    """Each by itself."""

    def part(change):
        if change.kind == "bytes":
            return dice.choice((None, "half", "zeros", "all"))
        return dice.choice((None, "all"))

    return part


def everything(_changes, _dice):
    return lambda change: "all"


OUTCOMES = (nothing, names_only, zeros, torn, journal, any_order, any_order, everything)


def rebuild(recording, point, outcome, dice, path):
    """Makes at `path` what the disk may hold when the power fails before call `point`."""
    changes = recording.crash(point)
    part_of = outcome(changes, dice)
    names, contents, modes = {}, {}, {}
    for change in changes:
        part = "all" if change.is_lasting else part_of(change)
        if part is None:
            continue
        if change.kind == "names":
            for directory, name, inode in change.value:
                here = names.setdefault(directory, dict(directory.names))
                if inode is None:
                    here.pop(name, None)
                else:
                    here[name] = inode
        elif change.kind == "mode":
            modes[change.inodes[0]] = change.value
        else:
            inode = change.inodes[0]
            contents[inode] = altered(contents.get(inode, inode.content), change, part)
    _write(recording.root, os.fsencode(path), names, contents, modes, {})


def altered(content, change, part):
    if change.kind == "length":
        return content[: change.value].ljust(change.value, b"\0")
    offset, data = change.value
    if part == "half":
        data = data[: len(data) // 2]
    elif part == "zeros":
        data = bytes(len(data))
    return content[:offset].ljust(offset, b"\0") + data + content[offset + len(data) :]


def _write(inode, path, names, contents, modes, written):
    if inode in written:
        os.link(written[inode], path)
        return
    if inode.kind == "symlink":
        os.symlink(inode.content, path)
        return
    if inode.kind == "directory":
        os.mkdir(path, 0o700)
        for name, child in names.get(inode, inode.names).items():
            _write(child, os.path.join(path, name), names, contents, modes, written)
    elif inode.kind == "file":
        with open(path, "wb") as file:
            file.write(contents.get(inode, inode.content))
        written[inode] = path
    else:
        return
    os.chmod(path, modes.get(inode, inode.mode))
