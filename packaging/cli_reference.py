#!/usr/bin/env python3
"""Writes the manual pages and the shell completions of the programs, from what they say with --help.

    packaging/cli_reference.py DIRECTORY_OF_THE_PROGRAMS OUT [PROGRAM...]

makes OUT/man/PROGRAM.1, OUT/bash/PROGRAM, OUT/zsh/_PROGRAM and OUT/fish/PROGRAM.fish of each program. What --help does
not know (files, see also) is in PAGES. Nothing depends on the time or the machine.
"""
import dataclasses
import re
import subprocess
import sys
from pathlib import Path

PAGES = {
    "slipway": {
        "summary": "publish artifacts, and look at them",
        "files": [("DIR.keys", "The keys of the repository DIR, unless --keys names another directory; mode 0700.")],
        "see": ["slipway-agent", "slipway-seeder", "slipway-orchestrator"],
    },
    "slipway-agent": {
        "summary": "install artifacts on this host and keep its services at what is wanted",
        "files": [
            ("/etc/slipway/agent.toml", "Configuration of slipway-agent run."),
            ("/etc/slipway/desired.json", "What should run, where no orchestrator says it."),
            ("/etc/slipway/managed-units", "Units that the agent may restart."),
            ("/var/lib/slipway", "Installed releases, packs that are shared, trusted metadata, journal."),
        ],
        "see": ["slipway-installer", "slipway-seeder", "slipway"],
    },
    "slipway-installer": {
        "summary": "build, verify and switch releases, without network",
        "files": [("/run/slipway/installer.sock", "Where slipway-agent asks it."), ("/var/lib/slipway/services", "What it installs.")],
        "see": ["slipway-agent"],
    },
    "slipway-seeder": {
        "summary": "share a repository with a region",
        "files": [("/etc/slipway/seeder.toml", "Configuration of the unit slipway-seeder.service."), ("/var/lib/slipway-seeder", "Its state.")],
        "see": ["slipway", "slipway-agent"],
    },
    "slipway-orchestrator": {
        "summary": "move releases over a fleet",
        "files": [("/etc/slipway/orchestrator.toml", "Configuration."), ("/var/lib/slipway-orchestrator", "Its database, where it is SQLite.")],
        "see": ["slipway", "slipway-agent"],
    },
}


@dataclasses.dataclass
class Entry:
    names: list  # ["-h", "--help"], ["artifact"] or ["publish"]
    value: str  # "TEXT", "UINT"; empty for a flag
    choices: list
    traits: str  # "REQUIRED", "(Env:X)", default
    text: str


@dataclasses.dataclass
class Command:
    path: list  # [] for the program itself, else ["repo", "key", "add"]
    text: str = ""
    usage: str = ""
    options: list = dataclasses.field(default_factory=list)
    positionals: list = dataclasses.field(default_factory=list)
    footer: str = ""
    below: list = dataclasses.field(default_factory=list)

    def all(self):
        yield self
        for command in self.below:
            yield from command.all()


def entry_of(left, text):
    found = re.match(r"(\S+)(?: (?!REQUIRED|Excludes|Needs)([A-Z]+)(?::\{([^}]*)\}|:\S+)?(=\S*)?(?= |$))?(.*)$", left)
    names, value, choices, default, traits = found.groups()
    return Entry(names.split(","), value or "", (choices or "").split(",") if choices else [], f"{default or ''}{traits}".strip(), text)


def parse(path, text):
    command = Command(path)
    section, entries, footer, head = None, {"Options": [], "Positionals": [], "Subcommands": []}, [], []
    for line in text.splitlines():
        if line.startswith("Usage: "):
            command.usage, section = line[len("Usage: "):], "usage"
        elif re.fullmatch(r"(Options|Positionals|Subcommands):", line):
            section = line[:-1]
        elif section in entries and re.match(r"  \S", line):
            # The text stands in column 30, or in the next line if what is left of it is longer.
            left, right = (line[2:], "") if len(line) < 30 or line[29] != " " else (line[2:30], line[30:])
            entries[section].append([left.strip(), right.strip()])
        elif section in entries and line.startswith(" " * 20):
            entries[section][-1][1] = f"{entries[section][-1][1]} {line.strip()}".strip()
        elif section is None:
            head.append(line)
        elif section in entries and line:
            section = "footer"
            footer.append(line)
        elif section == "footer":
            footer.append(line)
    command.text = "\n".join(head).strip()
    command.options = [entry_of(*entry) for entry in entries["Options"]]
    command.positionals = [entry_of(*entry) for entry in entries["Positionals"]]
    command.footer = "\n".join(footer).strip()
    return command, [entry[0].split()[0] for entry in entries["Subcommands"]]


def read_command(program, path):
    said = subprocess.run([program, *path, "--help"], capture_output=True, text=True, timeout=20)
    if said.returncode != 0 or "Usage: " not in said.stdout:
        raise SystemExit(f"{program} {' '.join(path)} --help: status {said.returncode}\n{said.stdout}{said.stderr}")
    command, below = parse(path, said.stdout)
    command.below = [read_command(program, [*path, name]) for name in below]
    return command


# Manual pages ------------------------------------------------------------------------------------


def roff(text):
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return "\n".join("\\&" + line if line.startswith((".", "'")) else line for line in text.splitlines())


def man_entries(entries):
    for entry in entries:
        names = ", ".join(f"\\fB{roff(name)}\\fR" for name in entry.names)
        value = f" \\fI{roff(entry.value)}\\fR" if entry.value else ""
        many = " ..." if "..." in entry.traits else ""
        yield ".TP"
        yield f"{names}{value}{many}"
        notes = []
        if "REQUIRED" in entry.traits:
            notes.append("Needed.")
        if entry.choices:
            notes.append(f"One of {', '.join(entry.choices)}.")
        if default := re.search(r"^=(\S+)", entry.traits):
            notes.append(f"Default: {default[1]}.")
        if variable := re.search(r"\(Env:(\w+)\)", entry.traits):
            notes.append(f"Environment: {variable[1]}.")
        if excludes := re.search(r"Excludes: (.+?)(?: \(|$)", entry.traits):
            notes.append(f"Not together with {excludes[1]}.")
        text = entry.text if entry.text.endswith((".", ")")) or not entry.text else f"{entry.text}."
        yield roff(" ".join([text, *notes]))


def man_page(name, root, version):
    page = PAGES[name]
    lines = [f'.TH {name.upper()} 1 "" "slipway {version}" "Slipway"', ".SH NAME", f"{roff(name)} \\- {roff(page['summary'])}"]
    lines += [".SH SYNOPSIS"]
    for command in root.all():
        if not command.below:
            lines += [f"\\fB{roff(' '.join([name, *command.path]))}\\fR{roff(command.usage.partition('[OPTIONS]')[2])} [\\fIOPTIONS\\fR]", ".br"]
    lines += [".SH DESCRIPTION", roff(root.text)]
    for command in root.all():
        if command.path:
            lines += [f".SH \"{roff(' '.join(command.path).upper())}\""]
            lines += [roff(f"{name} {' '.join(command.path)}: {command.text}")]
        elif command.options:
            lines += [".SH OPTIONS"]
        lines += man_entries(command.positionals)
        lines += man_entries(command.options)
        if command.footer and command.footer != root.footer:
            lines += [".PP", ".nf", roff(command.footer), ".fi"]
    if root.footer:
        lines += [".SH NOTES", ".nf", roff(root.footer), ".fi"]
    lines += [".SH EXIT STATUS", "0 done, 1 failed, 2 wrong usage, 3 verification failed, 4 not found."]
    lines += [".SH FILES"]
    for path, text in page["files"]:
        lines += [".TP", f"\\fI{roff(path)}\\fR", roff(text)]
    lines += [".SH SEE ALSO", ",\n".join(f".BR {roff(other)} (1)" for other in page["see"]).replace(",\n", " ,\n")]
    return "\n".join(lines) + "\n"


def events_page(version):
    """slipway-events(7), from the table of docs/events.md."""
    text = (Path(__file__).resolve().parents[1] / "docs/events.md").read_text()
    lines = [f'.TH SLIPWAY-EVENTS 7 "" "slipway {version}" "Slipway"', ".SH NAME", "slipway\\-events \\- what the daemons of Slipway log"]
    lines += [".SH DESCRIPTION", roff("Each event is an entry of the journal with the MESSAGE_ID below, its name in SLIPWAY_EVENT and each field in SLIPWAY_FIELD.")]
    lines += [".SH EVENTS"]
    for event, levels, message_id, fields, meaning in re.findall(r"(?m)^\| `([a-z_.]+)` \| (.*?) \| `(\w+)` \| (.*?) \| (.*) \|$", text):
        meaning = re.sub(r"\[(.*?)\]\(.*?\)", r"\1", meaning)
        lines += [".TP", f"\\fB{roff(event)}\\fR ({roff(levels)}), {roff(message_id)}"]
        lines += [roff(f"{meaning}. Fields: {fields}.".replace("`", ""))]
    lines += [".SH SEE ALSO", ".BR slipway\\-agent (1) ,", ".BR slipway\\-seeder (1) ,", ".BR journalctl (1)"]
    return "\n".join(lines) + "\n"


# Completions -------------------------------------------------------------------------------------


def words_of(command):
    return [child.path[-1] for child in command.below]


def flags_of(command):
    return [option for option in command.options if option.names]


def takes_file(option):
    return option.value == "TEXT" and not option.choices


def bash(name, root):
    function = "_" + name.replace("-", "_")
    out = [f"# bash completion of {name}; made by packaging/cli_reference.py", f"{function}() {{"]
    out += ['    local current=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} path="" word', "    COMPREPLY=()"]
    out += ['    for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do', '        case "${path:+$path }$word" in']
    for command in root.all():
        if command.path:
            out += [f"        \"{' '.join(command.path)}\") path=\"{' '.join(command.path)}\" ;;"]
    out += ["        esac", "    done", '    local words="" flags=""', '    case "$path" in']
    for command in root.all():
        flags = [n for option in flags_of(command) for n in option.names if n.startswith("--")]
        out += [f"    \"{' '.join(command.path)}\")", f"        words=\"{' '.join(words_of(command))}\"", f"        flags=\"{' '.join(flags)}\""]
        out += ['        case "$before" in']
        for option in flags_of(command):
            if option.choices:
                out += [f"        {option.names[-1]}) mapfile -t COMPREPLY < <(compgen -W \"{' '.join(option.choices)}\" -- \"$current\"); return ;;"]
            elif takes_file(option):
                out += [f"        {option.names[-1]}) compopt -o filenames; mapfile -t COMPREPLY < <(compgen -f -- \"$current\"); return ;;"]
            elif option.value:
                out += [f"        {option.names[-1]}) return ;;"]
        out += ["        esac", "        ;;"]
    out += ["    esac", '    if [[ $current == -* ]]; then', '        mapfile -t COMPREPLY < <(compgen -W "$flags" -- "$current")']
    out += ['    elif [[ -n $words ]]; then', '        mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")']
    out += ["    else", "        compopt -o filenames", '        mapfile -t COMPREPLY < <(compgen -f -- "$current")', "    fi", "}"]
    return "\n".join([*out, f"complete -F {function} {name}"]) + "\n"


def quoted(text):
    return "'" + text.replace("'", "'\\''") + "'"


def zsh(name, root):
    function = "_" + name
    out = [f"#compdef {name}", f"# made by packaging/cli_reference.py", f"{function}() {{"]
    out += ["    local path_so_far='' word", "    local -a commands flags"]
    out += ["    for word in ${words[2,CURRENT-1]}; do", '        case "${path_so_far:+$path_so_far }$word" in']
    for command in root.all():
        if command.path:
            out += [f"        {quoted(' '.join(command.path))}) path_so_far={quoted(' '.join(command.path))} ;;"]
    out += ["        esac", "    done", '    case "$path_so_far" in']
    for command in root.all():
        out += [f"    {quoted(' '.join(command.path))})"]
        out += ["        commands=(" + " ".join(quoted(f"{c.path[-1]}:{c.text.splitlines()[0] if c.text else ''}") for c in command.below) + ")"]
        flags = [(n, option.text) for option in flags_of(command) for n in option.names if n.startswith("--")]
        out += ["        flags=(" + " ".join(quoted(f"{n}:{text}") for n, text in flags) + ")"]
        out += ['        case "${words[CURRENT-1]}" in']
        for option in flags_of(command):
            if option.choices:
                out += [f"        {option.names[-1]}) compadd -- {' '.join(option.choices)}; return ;;"]
            elif takes_file(option):
                out += [f"        {option.names[-1]}) _files; return ;;"]
            elif option.value:
                out += [f"        {option.names[-1]}) _message {quoted(option.text)}; return ;;"]
        out += ["        esac", "        ;;"]
    out += ["    esac", "    if [[ ${words[CURRENT]} == -* ]]; then", "        _describe option flags"]
    out += ["    elif (( ${#commands} )); then", "        _describe command commands", "    else", "        _files", "    fi", "}"]
    return "\n".join([*out, f'{function} "$@"']) + "\n"


def fish(name, root):
    helper = "__" + name.replace("-", "_") + "_at"
    paths = [" ".join(command.path) for command in root.all() if command.path]
    out = [f"# fish completion of {name}; made by packaging/cli_reference.py", f"function {helper}"]
    out += ["    set -l path ''", f"    set -l known {' '.join(map(quoted, paths))}", "    for word in (commandline -opc)[2..-1]"]
    out += ["        set -l next (string trim -- \"$path $word\")", "        if contains -- $next $known", "            set path $next", "        end", "    end"]
    out += ["    test \"$path\" = \"$argv[1]\"", "end"]
    for command in root.all():
        where = f"-n {quoted(helper + ' ' + quoted(' '.join(command.path)))}"
        for child in command.below:
            text = child.text.splitlines()[0] if child.text else ""
            out += [f"complete -c {name} {where} -f -a {child.path[-1]} -d {quoted(text)}"]
        for option in flags_of(command):
            for flag in option.names:
                if not flag.startswith("--"):
                    continue
                value = f" -x -a {quoted(' '.join(option.choices))}" if option.choices else " -r" if option.value else ""
                out += [f"complete -c {name} {where} -l {flag[2:]}{value} -d {quoted(option.text)}"]
    return "\n".join(out) + "\n"


def main():
    bin_directory, out = Path(sys.argv[1]), Path(sys.argv[2])
    for name in sys.argv[3:] or PAGES:
        program = bin_directory / name
        version = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout.split()[-1]
        root = read_command(program, [])
        made = {f"man/{name}.1": man_page(name, root, version), f"bash/{name}": bash(name, root)}
        made |= {f"zsh/_{name}": zsh(name, root), f"fish/{name}.fish": fish(name, root)}
        for path, text in made.items():
            (out / path).parent.mkdir(parents=True, exist_ok=True)
            (out / path).write_text(text)
    (out / "man/slipway-events.7").write_text(events_page(version))


if __name__ == "__main__":
    main()
