"""What attackers make: metadata with whatever keys they have, and artifacts that no publisher would
write. Everything here is well formed but for the one lie that a test is about."""

import functools
import hashlib
import json
import os
import subprocess
import tempfile
import time
from pathlib import Path

LEAF_BYTES = 16 * 1024


def sha256(data):
    return hashlib.sha256(data).digest()


def canonical(body):
    return json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def utc(seconds_from_now):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + seconds_from_now))


def openssl(*args):
    return subprocess.run(["openssl", *map(str, args)], check=True, stdout=subprocess.PIPE).stdout


class Key:
    """An Ed25519 key in a PEM file, the owner's or an attacker's."""

    def __init__(self, pem):
        self.pem = Path(pem)

    @classmethod
    def new(cls, pem):
        openssl("genpkey", "-algorithm", "ed25519", "-out", pem)
        return cls(pem)

    @functools.cached_property
    def public(self):
        der = openssl("pkey", "-in", self.pem, "-pubout", "-outform", "DER")
        return {"keytype": "ed25519", "keyval": {"public": der[-32:].hex()}, "scheme": "ed25519"}

    @functools.cached_property
    def id(self):
        return sha256(canonical(self.public)).hex()

    def sign(self, message, key_id=None):
        """As an entry of "signatures", under the key's own id or a stolen name."""
        with tempfile.NamedTemporaryFile() as file:
            file.write(message)
            file.flush()
            raw = openssl("pkeyutl", "-sign", "-rawin", "-inkey", self.pem, "-in", file.name)
        return {"keyid": key_id or self.id, "sig": raw.hex()}


def envelope(body, signatures):
    return json.dumps({"signatures": signatures, "signed": body}).encode()


class Mirror:
    """A copy of a repository in an attacker's hands, who has some of its keys.

    `change(role, edit)` makes the next version of a role, and has the roles above it list it, up to
    the timestamp: what a holder of all those keys could publish. `signers` replaces who signs the
    role itself; the roles above are signed with their own keys."""

    def __init__(self, path, source, keys):
        self.path, self.keys = Path(path), keys
        subprocess.run(["cp", "-a", source, path], check=True)

    def key(self, role):
        return Key(self.keys / f"{role}.pem")

    def file(self, name):
        return self.path / "metadata" / name

    def body(self, name):
        return json.loads(self.file(name).read_bytes())["signed"]

    def name(self, role):
        """The newest file of a role, by what the roles above it list."""
        if role == "timestamp":
            return "timestamp.json"
        if role == "root":
            return max(self.path.glob("metadata/*.root.json"), key=lambda one: int(one.name.split(".")[0])).name
        above = self.body(self.name("timestamp" if role == "snapshot" else "snapshot"))
        return f"{above['meta'][f'{role}.json']['version']}.{role}.json"

    def write(self, role, body, signers=None, signatures=None):
        """Signs and writes one file, which nothing lists yet. Gives how it is to be listed."""
        signers = [self.key(role)] if signers is None else signers
        if signatures is None:
            signatures = [signer.sign(canonical(body)) for signer in signers]
        content = envelope(body, signatures)
        name = "timestamp.json" if role == "timestamp" else f"{body['version']}.{role}.json"
        self.file(name).write_bytes(content)
        return {"version": body["version"], "length": len(content), "hashes": {"sha256": sha256(content).hex()}}

    def change(self, role, edit=lambda body: None, **how):
        body = self.body(self.name(role))
        body["version"] += 1
        edit(body)
        listed = self.write(role, body, **how)
        if role == "snapshot":
            self.list("timestamp", role, listed)
        elif role not in ("timestamp", "root"):
            self.list("snapshot", role, listed)
        return listed

    def list(self, above, role, listed):
        """Has the role above list `listed`, as a new version of its own."""
        self.change(above, lambda body: body["meta"].__setitem__(f"{role}.json", listed))

    def add_target(self, path, content, custom=None, **how):
        """Puts a target's file in place and lists it in targets."""
        *folders, last = path.split("/")
        file = self.path.joinpath("targets", *folders, f"{sha256(content).hex()}.{last}")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        listed = {"length": len(content), "hashes": {"sha256": sha256(content).hex()}}
        if custom:
            listed["custom"] = custom
        self.change("targets", lambda body: body["targets"].__setitem__(path, listed), **how)


# Artifacts ---------------------------------------------------------------------------------------


def varint(value):
    out = b""
    while value > 0x7F:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def text(value):
    return varint(len(value)) + value


def directory(path, shared=0, mode=0o755):
    return bytes([1]) + varint(shared) + text(path) + varint(mode)


def file(path, content, shared=0, kind=2, mode=0o644):
    """A file of one chunk."""
    return bytes([kind]) + varint(shared) + text(path) + varint(mode) + varint(len(content)) + sha256(content)


def symlink(path, target, shared=0):
    return bytes([3]) + varint(shared) + text(path) + text(target)


def hard_link(path, target, shared=0):
    return bytes([4]) + varint(shared) + text(path) + text(target)


def index(entries, files, tree_bytes):
    return b"SLIPIDX1" + b"".join(entries) + b"\0" + varint(len(entries)) + varint(files) + varint(tree_bytes)


def zstd_frame(raw=b"", zeros=0, claimed=None):
    """RFC 8878: a frame of the raw bytes, then of a run of zeros, which takes next to nothing. It
    may claim another content size than it has."""
    claimed = len(raw) + zeros if claimed is None else claimed
    block_bytes = 128 * 1024
    blocks = [(0, raw[at : at + block_bytes]) for at in range(0, len(raw), block_bytes)]
    while zeros > 0:
        blocks.append((1, min(zeros, block_bytes)))
        zeros -= blocks[-1][1]
    # 8 bytes of content size and a window of 2 MiB.
    out = (0xFD2FB528).to_bytes(4, "little") + bytes([0xC0, 11 << 3]) + claimed.to_bytes(8, "little")
    for number, (kind, what) in enumerate(blocks):
        size = len(what) if kind == 0 else what
        header = (size << 3) | (kind << 1) | (number == len(blocks) - 1)
        out += header.to_bytes(3, "little") + (what if kind == 0 else b"\0")
    return out


def chunk_ref(content, length=None):
    return sha256(content)[:16] + varint(len(content) if length is None else length)


def table_of_contents(blocks):
    """Blocks follow the magic one after the other: (encoded length, codec, [chunk refs])."""
    codecs = sorted({codec for _, codec, _ in blocks})
    out = b"SLIPTOC1" + varint(len(codecs)) + b"".join(text(codec.encode()) for codec in codecs) + varint(len(blocks))
    for length, codec, chunks in blocks:
        out += varint(0) + varint(length) + varint(codecs.index(codec)) + varint(0)
        out += varint(len(chunks)) + b"".join(chunks)
    return out


def piece_bytes(pack_bytes):
    for limit, piece in ((8 << 20, 16 << 10), (128 << 20, 64 << 10), (1 << 30, 256 << 10), (8 << 30, 1 << 20)):
        if pack_bytes <= limit:
            return piece
    return 4 << 20


def merkle_root(layer, pad):
    while len(layer) > 1:
        if len(layer) % 2:
            layer = [*layer, pad]
        layer = [sha256(layer[i] + layer[i + 1]) for i in range(0, len(layer), 2)]
        pad = sha256(pad + pad)
    return layer[0]


def pieces_root(pack):
    """For packs up to 8 MiB, whose pieces are the leaves: the root, and the layer of pieces."""
    leaves = [sha256(pack[at : at + LEAF_BYTES]) for at in range(0, len(pack), LEAF_BYTES)]
    return merkle_root(leaves, bytes(32)), leaves


def bencode(value):
    if isinstance(value, int):
        return b"i%de" % value
    if isinstance(value, bytes):
        return b"%d:%s" % (len(value), value)
    return b"d" + b"".join(bencode(key) + bencode(value[key]) for key in sorted(value)) + b"e"


def metainfo(root, pack_bytes, layer, piece=None):
    name = root.hex().encode()
    info = {
        b"file tree": {name: {b"": {b"length": pack_bytes, b"pieces root": root}}},
        b"meta version": 2,
        b"name": name,
        b"piece length": piece or piece_bytes(pack_bytes),
        b"private": 1,
    }
    return bencode({b"info": info, b"piece layers": {root: b"".join(layer)} if len(layer) > 1 else {}})


def pack_map(manifest, root, pack_bytes, toc_bytes, version):
    return (b"SLIPMAP1" + sha256(manifest) + varint(1) + root + varint(pack_bytes) + varint(toc_bytes) + b"\1"
            + sha256(manifest) + text(version.encode()))


class Artifact:
    """An artifact of one base pack, byte by byte. Each part can be replaced before `publish`.

    `chunks` are stored as they are; `blocks` are (encoded bytes, codec, [chunk refs]) as given."""

    def __init__(self, version, entries, chunks=(), blocks=(), name="web"):
        self.name, self.version = name, version
        files = sum(entry[0] in (2, 5) for entry in entries)
        self.index = index(entries, files, sum(map(len, chunks)))
        self.entries, self.files, self.tree_bytes = len(entries), files, sum(map(len, chunks))
        self.blocks = [(one, "stored", [chunk_ref(one)]) for one in (self.index, *chunks)] + list(blocks)
        self.toc_frame = None
        self.pack_bytes = None  # As the pack map says.
        self.fields = {}        # Of the manifest.

    def manifest(self):
        return canonical({
            "entries": self.entries, "files": self.files, "format": "slipway-manifest-1",
            "index": {"bytes": len(self.index), "sha256": sha256(self.index).hex()}, "kind": "code", "labels": {},
            "name": self.name, "tree_bytes": self.tree_bytes, "unit": "", "version": self.version, **self.fields,
        })

    def pack(self):
        """The pack's bytes, and its table of contents as it stands at its end."""
        toc = table_of_contents([(len(encoded), codec, chunks) for encoded, codec, chunks in self.blocks])
        frame = zstd_frame(toc) if self.toc_frame is None else self.toc_frame
        return b"SLIPPAK1" + b"".join(encoded for encoded, _, _ in self.blocks) + frame, frame

    def publish(self, mirror):
        pack, frame = self.pack()
        root, layer = pieces_root(pack)
        packs = mirror.path / "packs"
        (packs / root.hex()).write_bytes(pack)
        (packs / f"{root.hex()}.torrent").write_bytes(metainfo(root, len(pack), layer))
        manifest = self.manifest()
        where = f"{self.name}/{self.version}"
        mirror.add_target(f"{where}/manifest.json", manifest,
                          {"kind": "code", "published": utc(0), "sequence": 9})
        mirror.add_target(f"{where}/packmap",
                          pack_map(manifest, root, self.pack_bytes or len(pack), len(frame), self.version))
        return root.hex()
