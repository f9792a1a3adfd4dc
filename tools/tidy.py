#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The house rules as a program: prints `file:line: message` for each breach and exits 1.

usage: tidy.py [ROOT]
"""

import ast
import os
import pathlib
import re
import sys

# A room includes only itself and rooms before it in this list (docs: ARCHITECTURE.md).
ROOMS = ["base", "files", "log", "columns", "memtable", "run", "manifest", "upkeep", "view",
         "engine"]
NO_ARROW = {"base", "files", "log"}  # varve::log builds where there is no Arrow

LINES_MAX = {".cc": 800, ".h": 300}
FUNCTION_LINES_MAX = 70
COLUMNS_MAX = 100
README_LINES_MAX = 40
PUBLIC_HEADERS_MAX = 12  # of the database, and of the log, which is a library of its own
PUBLIC_LINES_MAX = 2500

CPP = {".cc", ".h"}
WIDTH_CHECKED = {".cc", ".h", ".cmake", ".py"}
NEEDS_SPDX = {".cc", ".h", ".py", ".sh"}
TEXT = CPP | {".cmake", ".py", ".sh", ".md", ".txt", ".json", ".in"}
SKIPPED_FOLDERS = {".git", "build", "__pycache__"}
DRAWERS = {"util", "utils", "common", "misc", "helper", "helpers", "core"}

BASE = ("src/base/",)
# (pattern, where it may stand, what to use instead). Matched outside comments and strings.
BANNED = [
    (r"std::chrono::\w+::now\b", BASE, "take a Clock (src/base/clock.h)"),
    (r"std::rand\b|std::random_device\b", BASE, "take a Random (src/base/random.h)"),
    (r"std::j?thread\b", BASE + ("bench/", "test/", "*_test"),
     "take an Executor (src/base/executor.h)"),
    (r"\b(?:u|nano)?sleep\s*\(|\bsleep_(?:for|until)\b", (), "wait for what happens, not for time"),
    (r"\bf?printf\s*\(|std::(?:cout|cerr)\b", ("src/base/check.h", "cli/", "bench/", "test/",
                                               "examples/", "fuzz/", "*_test"),
     "return it, or trace it (src/base/trace.h); the library never prints"),
]
# Spelt so that this file does not break its own rules.
BANNED_WORDS = [re.compile(r"\bTO" r"DO\b|\bFIX" r"ME\b|\bXX" r"X\b")]
MACHINE_PATHS = re.compile(r"(?<![\w.$}/-])/(?:wo" r"rk|ro" r"ot|ho" r"me)/\w")


class Tidy:
    def __init__(self, root):
        self.root = root
        self.breaches = []

    def report(self, path, line, message):
        self.breaches.append(f"{path}:{line}: {message}")

    def check(self):
        for path in sorted(self.files()):
            name = path.relative_to(self.root).as_posix()
            try:
                text = path.read_text(encoding="utf-8")
            except UnicodeDecodeError:
                continue  # data, not source
            self.check_text(name, path.suffix, text)
            if text.startswith("#!") and not os.access(path, os.X_OK):
                self.report(name, 1, "begins with #! but cannot be run: chmod +x")
            if path.suffix in CPP:
                self.check_cpp(name, path.suffix, text)
            if path.suffix == ".py":
                self.check_python(name, text)
        self.check_folders()
        self.check_readmes()
        self.check_public_headers()
        self.check_repeated_headers()
        return self.breaches

    def files(self):
        folders = [self.root]
        while folders:
            for entry in folders.pop().iterdir():
                if entry.name in SKIPPED_FOLDERS or entry.is_symlink():
                    continue
                if entry.is_dir():
                    # Databases that somebody made in the root are not ours, nor scratch folders.
                    if entry.suffix != ".varve" and not entry.name.startswith("_"):
                        folders.append(entry)
                elif entry.suffix in TEXT or entry.name in ("run", "CMakeLists.txt"):
                    yield entry

    def check_text(self, name, suffix, text):
        lines = text.split("\n")
        for number, line in enumerate(lines, 1):
            if suffix in WIDTH_CHECKED and len(line) > COLUMNS_MAX:
                self.report(name, number, f"{len(line)} columns, at most {COLUMNS_MAX}")
            if any(words.search(line) for words in BANNED_WORDS):
                self.report(name, number, "unfinished work: do it, or open an issue")
            if MACHINE_PATHS.search(line):
                self.report(name, number, "a path of one machine")
        script = pathlib.PurePath(name).name == "run"
        if suffix in NEEDS_SPDX or script:
            first = lines[1] if lines[0].startswith("#!") and len(lines) > 1 else lines[0]
            if "SPDX-License-Identifier: Apache-2.0" not in first:
                self.report(name, 1, "the first line must be SPDX-License-Identifier: Apache-2.0")
        if suffix in {".py", ".sh"} or script:
            for number, line in enumerate(lines, 1):
                if re.search(r"\btime\.sle" r"ep\(|^\s*sle" r"ep\s", line):
                    self.report(name, number, "wait for what happens, not for time")

    def check_cpp(self, name, suffix, text):
        lines_max = LINES_MAX[suffix]
        if text.count("\n") > lines_max:
            self.report(name, text.count("\n"), f"{text.count(chr(10))} lines, at most {lines_max}")
        self.check_includes(name, text)
        bare = blank_comments_and_strings(text)
        for pattern, allowed, instead in BANNED:
            if any(may_stand(name, place) for place in allowed):
                continue
            for match in re.finditer(pattern, bare):
                self.report(name, line_of(bare, match.start()), f"{match.group(0)}: {instead}")
        for start, end in function_bodies(bare):
            if end - start + 1 > FUNCTION_LINES_MAX:
                self.report(name, start, f"a function of {end - start + 1} lines, "
                                         f"at most {FUNCTION_LINES_MAX}")

    def check_includes(self, name, text):
        parts = name.split("/")
        is_room = parts[0] == "src" and len(parts) > 2
        for match in re.finditer(r'^\s*#\s*include\s+([<"])([^>"]+)[>"]', text, re.MULTILINE):
            number = line_of(text, match.start())
            quoted, target = match.group(1) == '"', match.group(2)
            if is_room:
                self.check_room_include(name, parts[1], number, quoted, target)
            elif parts[0] in ("cli", "python", "examples") and quoted:
                inside = (self.root / parts[0] / target).exists() or \
                    (self.root / name).parent.joinpath(target).exists()
                if not target.startswith("varve/") and not inside:
                    self.report(name, number, f"{parts[0]}/ may include only include/varve and "
                                              f"its own headers, not {target}")

    def check_room_include(self, name, room, number, quoted, target):
        if room not in ROOMS:
            self.report(name, number, f"{room} is no room of the list in tools/tidy.py")
            return
        is_test = may_stand(name, "*_test")
        if room in NO_ARROW and re.match(r"(arrow|parquet)/", target):
            self.report(name, number, f"{room} must do without Arrow: {target}")
        other = target.split("/")[0]
        if quoted and other in ROOMS and ROOMS.index(other) > ROOMS.index(room):
            self.report(name, number, f"{room} may not include {other}, which comes after it")
        if quoted and other in ("cli", "bench") or (other == "test" and quoted and not is_test):
            self.report(name, number, f"{room} may not include {target}")

    def check_python(self, name, text):
        try:
            tree = ast.parse(text)
        except SyntaxError as error:
            self.report(name, error.lineno or 1, f"not Python: {error.msg}")
            return
        for node in ast.walk(tree):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                lines = node.end_lineno - node.lineno + 1
                if lines > FUNCTION_LINES_MAX:
                    self.report(name, node.lineno,
                                f"a function of {lines} lines, at most {FUNCTION_LINES_MAX}")

    def check_folders(self):
        for top in ("src", "include", "cli", "test", "bench", "tools", "python", "examples"):
            for folder in (self.root / top).rglob("*"):
                if folder.is_dir() and folder.name in DRAWERS:
                    self.report(folder.relative_to(self.root).as_posix(), 1,
                                f"no folder {folder.name}/: name it by what it holds")

    def check_readmes(self):
        folders = [f for f in (self.root / "src").glob("*") if f.is_dir()]
        folders += [f for f in [self.root / "cli"] if f.is_dir()]
        for folder in sorted(folders):
            readme = folder / "README.md"
            name = readme.relative_to(self.root).as_posix()
            if not readme.exists():
                self.report(name, 1, "missing: every room says what it promises")
            elif readme.read_text().count("\n") > README_LINES_MAX:
                self.report(name, 1, f"more than {README_LINES_MAX} lines")

    def check_public_headers(self):
        headers = sorted((self.root / "include" / "varve").rglob("*.h"))
        lines = sum(h.read_text().count("\n") for h in headers)
        of_log = [h for h in headers if re.fullmatch(r"(varve_)?log(_\w+)?\.h", h.name)]
        for what, count in (("log", len(of_log)), ("database", len(headers) - len(of_log))):
            if count > PUBLIC_HEADERS_MAX:
                self.report("include/varve", 1, f"{count} public headers of the {what}, "
                                                f"at most {PUBLIC_HEADERS_MAX}")
        if lines > PUBLIC_LINES_MAX:
            self.report("include/varve", 1,
                        f"{lines} lines of public headers, at most {PUBLIC_LINES_MAX}")

    def check_repeated_headers(self):
        """Documents repeat the first comment of a header behind `<!-- header of FILE -->`."""
        for document in sorted((self.root / "docs").glob("*.md")):
            text = document.read_text()
            for block in re.finditer(r"<!-- header of (\S+) -->\n```\n(.*?)```\n", text, re.DOTALL):
                source = self.root / block.group(1)
                if not source.exists() or block.group(2) != header_comment(source.read_text()):
                    self.report(document.relative_to(self.root).as_posix(),
                                line_of(text, block.start()),
                                f"not what the top of {block.group(1)} says: copy it again")


def header_comment(text):
    """The first comment of a C++ file without its SPDX line."""
    comment = re.match(r"(?://[^\n]*\n)*", text).group(0)
    return "".join(line[3:] + "\n" for line in comment.split("\n")[1:-1])


def may_stand(name, place):
    """Whether `name` is in a place: a file, a folder with its slash, or *_test."""
    if place == "*_test":
        return name.endswith("_test.cc") or "_test_" in name or name.endswith("_fixture.h")
    return name.startswith(place)


def line_of(text, position):
    return text.count("\n", 0, position) + 1


TOKENS = re.compile(
    r'//[^\n]*|/\*.*?\*/'
    r'|R"(?P<tag>[^(\s]{0,16})\(.*?\)(?P=tag)"'
    r'|"(?:\\.|[^"\\\n])*"'
    r"|(?<![0-9a-fA-F])'(?:\\.|[^'\\\n])+'", re.DOTALL)


def blank_comments_and_strings(text):
    """The same text, line for line, without what the compiler does not execute."""
    return TOKENS.sub(lambda m: "".join(c if c == "\n" else " " for c in m.group(0)), text)


def function_bodies(bare):
    """(first line, last line) of each function: from its name's statement to its last brace."""
    scope = re.compile(r"\b(?:namespace|class|struct|enum|union|extern)\b[^()]*$")
    stack = []  # (is this a function at the outermost level, start of its statement)
    statement = 0
    for match in re.finditer(r"[{};]|^[ \t]*#[^\n]*(?:\\\n[^\n]*)*", bare, re.MULTILINE):
        token = match.group(0)
        if token == "{":
            head = bare[statement:match.start()]
            inside = any(function for function, _ in stack)
            is_function = not inside and ")" in head and not scope.search(head)
            stack.append((is_function, statement + len(head) - len(head.lstrip())))
        elif token == "}" and stack:
            function, start = stack.pop()
            if function:
                yield line_of(bare, start), line_of(bare, match.start())
        statement = match.end()


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent.parent)
    breaches = Tidy(root.resolve()).check()
    for breach in breaches:
        print(breach)
    if breaches:
        print(f"tidy: {len(breaches)} breaches of the house rules", file=sys.stderr)
    return 1 if breaches else 0


if __name__ == "__main__":
    sys.exit(main())
