#!/usr/bin/env python3
"""Manual pages and completions: every command and flag of --help is in them, and the shells complete them."""

import re
import subprocess
import sys
from pathlib import Path

from harness import BIN, Case, main

SOURCE = Path(__file__).resolve().parents[2]
PROGRAMS = ["slipway", "slipway-agent", "slipway-installer", "slipway-seeder", "slipway-orchestrator"]

BASH = """
compopt() { :; }  # Bash has it only while it completes for a person.
source "$1"; shift
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
_${1//-/_}
printf '%s\\n' "${COMPREPLY[@]}"
"""

# A terminal of its own, in which Tab is pressed.
ZSH = """
zmodload zsh/zpty
zpty shell zsh -f -i
zpty -w shell "PS1=; unsetopt zle_bracketed_paste; fpath=($1 \\$fpath); autoload -Uz compinit; compinit -u -D"
zpty -w shell "zstyle ':completion:*' list-prompt ''; LISTMAX=1000; echo rea''dy"
zpty -r shell seen '*ready*'
zpty -n -w shell "$2"$'\\t\\t'
zpty -r -m shell seen "*$3*" && print -r -- "$seen"
zpty -d shell
"""


def help_of(program, *path):
    said = subprocess.run([BIN / program, *path, "--help"], capture_output=True, text=True, check=True)
    return said.stdout


def commands_of(program, *path):
    """(path, flags) of the program and all that is below it, read from --help independently of the tool."""
    text = help_of(program, *path)
    yield path, sorted(set(re.findall(r"(?m)^  (?:-\w,)?(--[a-z][a-z-]*)", text)))
    below = re.search(r"(?ms)^Subcommands:\n(.*?)(?:\n\n|\Z)", text)
    for name in re.findall(r"(?m)^  ([a-z][a-z-]*)", below[1]) if below else []:
        yield from commands_of(program, *path, name)


class Reference(Case):
    def setUp(self):
        super().setUp()
        self.programs = [p for p in PROGRAMS if self.has_help(p)]
        self.assertGreaterEqual(len(self.programs), 4)
        subprocess.run([sys.executable, SOURCE / "packaging/cli_reference.py", BIN, self.home, *self.programs], check=True)

    def has_help(self, program):
        return subprocess.run([BIN / program, "--help"], capture_output=True).returncode == 0

    def test_every_command_and_flag_is_in_the_page(self):
        for program in self.programs:
            page = self.home / "man" / f"{program}.1"
            shown = subprocess.run(
                ["groff", "-man", "-Tutf8", "-P-cbou", "-rLL=2000n", "-ww", page], capture_output=True, text=True, check=True
            )
            self.assertEqual(shown.stderr, "", program)
            text = shown.stdout.replace("\u2010", "-").replace("\u2212", "-")
            sections = re.split(r"(?m)^(?=\S)", text)
            for path, flags in commands_of(program):
                title = " ".join(path).upper() or "OPTIONS"
                section = [s for s in sections if s.startswith(title + "\n")]
                self.assertEqual(len(section), 1, f"{program}: {title}")
                for flag in flags:
                    self.assertRegex(section[0], rf"(?m)^ +(-\w, )?{flag}\b", f"{program} {title}")

    def test_the_page_of_events_has_each_of_them(self):
        page = self.home / "man/slipway-events.7"
        shown = subprocess.run(
            ["groff", "-man", "-Tutf8", "-P-cbou", "-rLL=2000n", "-ww", page], capture_output=True, text=True, check=True
        )
        self.assertEqual(shown.stderr, "")
        text = shown.stdout.replace("\u2010", "-").replace("\u2212", "-")
        events = re.findall(r"(?m)^\| `([a-z_.]+)` \| (.*?) \| `(\w+)`", (SOURCE / "docs/events.md").read_text())
        self.assertGreater(len(events), 50)
        for event, levels, message_id in events:
            self.assertRegex(text, rf"(?m)^ +{re.escape(event)} \({levels}\), {message_id}$")

    def bash(self, *words):
        script = self.home / "bash" / words[0]
        said = subprocess.run(["bash", "-c", BASH, "bash", script, *words], capture_output=True, text=True, cwd=self.home)
        self.assertEqual(said.stderr, "")
        return said.stdout.split()

    def fish(self, line):
        script = self.home / "fish" / f"{line.split()[0]}.fish"
        command = f"source {script}; complete -C '{line}'"
        said = subprocess.run(["fish", "--no-config", "-c", command], capture_output=True, text=True, cwd=self.home, check=True)
        return [found.split("\t")[0] for found in said.stdout.splitlines()]

    def test_bash_and_fish_complete_every_command_and_flag(self):
        for program in self.programs:
            for path, flags in commands_of(program):
                line = " ".join([program, *path, "--"])
                self.assertEqual(sorted(self.bash(program, *path, "--")), flags, line)
                if len(path) < 2:  # Each start of fish takes a tenth of a second.
                    self.assertEqual(sorted(f for f in self.fish(line) if f != "--"), flags, line)
        self.assertEqual(self.bash("slipway", "repo", "key", "a"), ["add"])
        self.assertEqual(self.fish("slipway repo key a"), ["add"])
        self.assertIn("publish", self.bash("slipway", ""))
        self.assertIn("publish", self.fish("slipway "))
        self.assertEqual(self.bash("slipway", "repo", "key", "add", "--type", "e"), ["ed25519", "ecdsa"])
        self.assertEqual(sorted(self.fish("slipway repo key add --type ")), ["ecdsa", "ed25519", "rsa"])
        (self.home / "shop.pem").touch()
        self.assertEqual(self.bash("slipway", "publish", "--keys", "sho"), ["shop.pem"])

    def zsh(self, line, wanted):
        said = subprocess.run(
            ["zsh", "-f", "-c", ZSH, "zsh", self.home / "zsh", line, wanted], capture_output=True, text=True, timeout=30, cwd=self.home
        )
        return said.stdout

    def test_zsh_completes_commands_and_flags(self):
        self.assertIn("undelegate", self.zsh("slipway repo ", "undelegate"))
        self.assertIn("--lock-timeout", self.zsh("slipway-agent rollback --", "--lock-timeout"))
        self.assertIn("rsa", self.zsh("slipway repo key add --type ", "rsa"))
        for program in self.programs:
            subprocess.run(["zsh", "-n", self.home / "zsh" / f"_{program}"], check=True)


if __name__ == "__main__":
    main()
