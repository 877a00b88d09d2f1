#!/usr/bin/env python3
"""Artifacts that are rightly signed and made to harm: what somebody with the publisher's keys, or a
broken publisher, could put there. The host checks what it builds from all the same."""

from attack_case import AttackCase
from forge import (
    Artifact, chunk_ref, directory, file, hard_link, metainfo, pieces_root, sha256, symlink,
    table_of_contents, zstd_frame,
)
from harness import FileServer, main, write

PROGRAM = b"#!/bin/sh\necho version 6.6\n"
GIB = 1 << 30


def honest_entries(content=PROGRAM):
    return [directory(b"bin"), file(b"/run", content, shared=3, mode=0o755)]


class Forged(AttackCase):
    def setUp(self):
        super().setUp()
        self.evil = self.mirror("evil")

    def refuse(self, artifact, *words, measured=False):
        artifact.publish(self.evil)
        if measured:
            outcome = self.measured(artifact.version, self.evil.path)
            for word in words:
                self.assertIn(word, outcome.err)
        else:
            self.refused(self.evil, *words, version=artifact.version)
        self.assertEqual(sorted(path.name for path in self.home.glob("escaped*")), [])

    def good(self, version="7.0"):
        """The forger's tools make what is installed, when they tell no lie."""
        program = f"#!/bin/sh\necho version {version}\n".encode()
        Artifact(version, honest_entries(program), [program]).publish(self.evil)
        self.honest(version, self.evil)


class Paths(Forged):
    """A manifest whose file index leads out of the tree."""

    OUT = b"../../../../../escaped"

    def test_a_path_that_leaves_the_tree(self):
        for number, path in enumerate((b"..", self.OUT, b"bin/../../escaped", b"/tmp/escaped", b"bin//x", b"./x", b"")):
            with self.subTest(path=path):
                entries = [file(path, PROGRAM, mode=0o755)]
                self.refuse(Artifact(f"6.{number}", entries, [PROGRAM]), f"file index of web@6.{number}",
                            "a path is relative" if path else "a path has 1 to 4095 bytes")
        self.good()

    def test_a_file_below_a_symlink_that_leads_out(self):
        entries = [symlink(b"out", str(self.home).encode()), file(b"/escaped", PROGRAM, shared=3)]
        self.refuse(Artifact("6.6", entries, [PROGRAM]), "an entry's parent is a directory entry")
        entries = [directory(b"out"), symlink(b"out", str(self.home).encode()), file(b"/escaped", PROGRAM, shared=3)]
        self.refuse(Artifact("6.7", entries, [PROGRAM]), "file index of web@6.7")
        self.good()

    def test_a_hard_link_to_what_the_tree_does_not_hold(self):
        secret = write(self.home / "secret", "key")
        for number, target in enumerate((str(secret).encode(), b"../../../../../secret", b"bin/later")):
            entries = [directory(b"bin"), hard_link(b"/link", target, shared=3)]
            self.refuse(Artifact(f"6.{number}", entries), "a hard link names an earlier file")
        self.good()

    def test_an_artifact_whose_name_leaves_the_repository(self):
        for number, name in enumerate(("../web", "/etc", "web/../..")):
            artifact = Artifact(f"6.{number}", honest_entries(), [PROGRAM])
            artifact.fields = {"name": name}
            self.refuse(artifact, f"manifest of web@6.{number}", "not a name")
        self.good()

    def test_a_manifest_that_says_less_than_its_index_holds(self):
        artifact = Artifact("6.6", honest_entries(), [PROGRAM])
        artifact.fields = {"tree_bytes": 1}
        self.refuse(artifact, "does not hold what its manifest says")
        self.good()


class Bombs(Forged):
    """Little to fetch, and much to unpack."""

    def test_a_zstd_bomb_as_a_table_of_contents(self):
        artifact = Artifact("6.6", honest_entries(), [PROGRAM])
        artifact.toc_frame = zstd_frame(zeros=4 * GIB)
        self.refuse(artifact, "table of contents of pack", measured=True)
        self.good()

    def test_a_zstd_bomb_as_a_table_of_contents_that_claims_to_be_small(self):
        artifact = Artifact("6.6", honest_entries(), [PROGRAM])
        artifact.toc_frame = zstd_frame(zeros=GIB, claimed=4096)
        self.refuse(artifact, "table of contents of pack", measured=True)
        self.good()

    def test_a_zstd_bomb_as_a_block(self):
        for number, claimed in enumerate((None, len(PROGRAM))):
            with self.subTest(claimed=claimed):
                bomb = zstd_frame(zeros=GIB, claimed=claimed)
                artifact = Artifact(f"6.{number}", honest_entries(), blocks=[(bomb, "zstd", [chunk_ref(PROGRAM)])])
                artifact.fields = {"tree_bytes": len(PROGRAM)}
                artifact.index = artifact.index[:-1] + bytes([len(PROGRAM)])
                artifact.blocks[0] = (artifact.index, "stored", [chunk_ref(artifact.index)])
                self.refuse(artifact, "pack ", "zstd frame", measured=True)
        self.good()

    def test_a_zstd_bomb_as_the_file_index(self):
        """64 MiB, the most that an index may have, from 2 KiB."""
        artifact = Artifact("6.6", honest_entries(), [PROGRAM])
        zeros = bytes(64 << 20)
        artifact.index = zeros
        artifact.blocks[0] = (zstd_frame(zeros=len(zeros)), "zstd", [chunk_ref(zeros)])
        self.refuse(artifact, "file index of web@6.6", measured=True)
        self.good()

    def test_a_zstd_window_beyond_the_limit(self):
        frame = bytearray(zstd_frame(PROGRAM))
        frame[5] = 0xFF  # 3.75 TiB.
        artifact = Artifact("6.6", honest_entries(), [PROGRAM])
        artifact.blocks[1] = (bytes(frame), "zstd", [chunk_ref(PROGRAM)])
        self.refuse(artifact, "zstd window is too large", measured=True)
        self.good()

    def test_a_table_of_contents_with_more_chunks_than_bytes(self):
        artifact = Artifact("6.6", honest_entries(), [PROGRAM])
        toc = table_of_contents([(len(artifact.index), "stored", [chunk_ref(artifact.index)])])
        artifact.toc_frame = zstd_frame(toc[:-18] + b"\xff\xff\x03" + toc[-17:])
        self.refuse(artifact, "table of contents of pack", measured=True)
        self.good()


class PieceCounts(Forged):
    def test_a_pack_map_with_a_huge_piece_count(self):
        """2^50 bytes are 2^28 pieces, and their digests 8 GiB of metainfo."""
        artifact = Artifact("6.6", honest_entries(), [PROGRAM])
        artifact.pack_bytes = 1 << 50
        root = artifact.publish(self.evil)
        with open(self.evil.path / f"packs/{root}.torrent", "wb") as huge:
            huge.truncate(8 * GIB)
        outcome = self.measured("6.6", self.evil.path)
        self.assertIn("pack map of web@6.6", outcome.err)
        self.assertIn("a pack's length", outcome.err)
        self.good()

    def test_a_metainfo_with_a_huge_piece_count(self):
        """The mirror's own: the signed pack map has the pack's address and length."""
        for name, lie in self.lies().items():
            with self.subTest(name):
                self.forget_host()
                server = FileServer(self, self.repo, lie)
                outcome = self.measured("1.1", server.url)
                self.assertIn("metainfo of pack", outcome.err)
        self.honest(seeder=FileServer(self, self.repo).url)

    def lies(self):
        def for_metainfo(change):
            return lambda path, body: change(path, body) if path.endswith(".torrent") and body else body

        def more_layers(path, body):
            root = bytes.fromhex(path.removeprefix("packs/").removesuffix(".torrent"))
            return metainfo(root, 1 << 40, [bytes(32)] * (1 << 18))

        def smaller_pieces(path, body):
            pack = (self.repo / path.removesuffix(".torrent")).read_bytes()
            root, layer = pieces_root(pack)
            return metainfo(root, len(pack), layer, piece=1)

        def other_layer(path, body):
            pack = (self.repo / path.removesuffix(".torrent")).read_bytes()
            root, layer = pieces_root(pack)
            if len(layer) == 1:
                return body[:-1]
            return metainfo(root, len(pack), [sha256(b"lie"), *layer[1:]])

        return {"more layers": for_metainfo(more_layers), "smaller pieces": for_metainfo(smaller_pieces),
                "another layer": for_metainfo(other_layer)}


if __name__ == "__main__":
    main()
