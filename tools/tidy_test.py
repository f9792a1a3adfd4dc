#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Plants each breach of the house rules in a small tree and sees tidy.py report it, and only it."""

import pathlib
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import tidy  # noqa: E402

SPDX = "// SPDX-License-Identifier: Apache-2.0\n"
SPDX_SCRIPT = "# SPDX-License-Identifier: Apache-2.0\n"
# Words that this file may not hold whole.
UNFINISHED = "TO" + "DO"
NAP = "sle" + "ep"

# A tree without a breach, rich in what a coarse checker would take for one.
CLEAN = {
    "src/base/README.md": "# base\n",
    "src/base/clock.cc": SPDX + '#include "base/clock.h"\n'
                                'auto t = std::chrono::system_clock::now();\n',
    "src/base/clock.h": SPDX + "#pragma once\n",
    "src/log/README.md": "# log\n",
    "src/log/log.cc": SPDX + '#include "files/files.h"\n#include "varve/log.h"\n'
                             '// std::thread in a comment\nconst char* s = "printf(";\n',
    "src/log/log_test.cc": SPDX + '#include "test/support/seed.h"\nstd::thread t;\n',
    "cli/README.md": "# cli\n",
    "cli/main.cc": SPDX + '#include "session.h"\n#include "varve/varve.h"\n',
    "cli/session.h": SPDX + "#pragma once\n",
    "include/varve/log.h": SPDX + "#pragma once\n",
    "tools/setup.sh": "#!/usr/bin/env bash\n" + SPDX_SCRIPT,
    "data.varve/run.cc": "not ours\n",
}


def long_function(lines):
    return SPDX + "namespace varve {\nint F(int a) {\n" + "  ++a;\n" * (lines - 2) + "}\n}\n"


# (file, content, part of the message)
BREACHES = [
    ("src/log/a.cc", SPDX + '#include "columns/gather.h"\n', "log may not include columns"),
    ("src/log/a.h", SPDX + "#include <arrow/api.h>\n", "log must do without Arrow"),
    ("src/log/a.cc", SPDX + '#include "test/support/seed.h"\n', "may not include test/support"),
    ("src/log/a.cc", SPDX + "std::thread t;\n", "std::thread: take an Executor"),
    ("src/log/a.cc", SPDX + "auto t = std::chrono::steady_clock::now();\n", "take a Clock"),
    ("src/log/a.cc", SPDX + "int r = std::rand();\n", "take a Random"),
    ("src/log/a.cc", SPDX + "std::random_device d;\n", "take a Random"),
    ("src/log/a.cc", SPDX + f"void F() {{ u{NAP}(10); }}\n", "wait for what happens"),
    ("src/log/a_test.cc", SPDX + f"void F() {{ std::this_thread::{NAP}_for(d); }}\n",
     "wait for what happens"),
    ("src/log/a.cc", SPDX + 'void F() { printf("x"); }\n', "the library never prints"),
    ("src/log/a.cc", SPDX + "void F() { std::cout << 1; }\n", "the library never prints"),
    ("cli/a.cc", SPDX + '#include "base/result.h"\n', "cli/ may include only"),
    ("python/a.cc", SPDX + '#include "engine/engine.h"\n', "python/ may include only"),
    ("src/log/a.cc", "int x;\n", "the first line must be SPDX"),
    ("tools/a.py", "x = 1\n", "the first line must be SPDX"),
    ("tools/a.sh", "#!/usr/bin/env bash\nx=1\n", "the first line must be SPDX"),
    ("tools/a.sh", "#!/usr/bin/env bash\n" + SPDX_SCRIPT + f"{NAP} 1\n", "wait for what happens"),
    ("tools/a.py", SPDX_SCRIPT + f"import time\ntime.{NAP}(1)\n", "wait for what happens"),
    ("src/log/a.cc", SPDX + "//" + "x" * 99 + "\n", "101 columns"),
    ("cmake/A.cmake", "#" + "x" * 100 + "\n", "101 columns"),
    ("src/log/a.cc", SPDX + "//\n" * 800, "801 lines, at most 800"),
    ("src/log/a.h", SPDX + "//\n" * 300, "301 lines, at most 300"),
    ("src/log/a.cc", long_function(71), "a function of 71 lines"),
    ("tools/a.py", SPDX_SCRIPT + "def f():\n" + "    x = 1\n" * 70, "a function of 71 lines"),
    ("docs/a.md", f"{UNFINISHED}: finish\n", "unfinished work"),
    ("docs/a.md", "see /ro" + "ot/varve\n", "a path of one machine"),
    ("docs/b.md", "<!-- header of src/log/b.h -->\n```\nthe rule.\n```\n", "not what the top of"),
    ("docs/b.md", "<!-- header of include/varve/log.h -->\n```\n```\n", None),
    ("src/log/util/a.cc", SPDX, "no folder util/"),
    ("src/log/README.md", "x\n" * 41, "more than 40 lines"),
    ("src/view/view.cc", SPDX, "src/view/README.md:1: missing"),
    ("include/varve/big.h", SPDX + "//\n" * 299, None),
]


class TidyTest(unittest.TestCase):
    def breaches(self, files, not_executable=()):
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder).resolve()
            for name, content in files.items():
                (root / name).parent.mkdir(parents=True, exist_ok=True)
                (root / name).write_text(content)
                if content.startswith("#!") and name not in not_executable:
                    (root / name).chmod(0o755)
            return tidy.Tidy(root).check()

    def test_a_clean_tree_is_clean(self):
        self.assertEqual(self.breaches(CLEAN), [])

    def test_each_breach_is_reported_and_nothing_else(self):
        for name, content, message in BREACHES:
            with self.subTest(name=name, message=message):
                found = self.breaches(CLEAN | {name: content})
                if message is None:
                    self.assertEqual(found, [])
                else:
                    self.assertEqual(len(found), 1, found)
                    self.assertIn(message, found[0])

    def test_a_script_can_be_run(self):
        found = self.breaches(CLEAN, not_executable=["tools/setup.sh"])
        self.assertEqual(found, ["tools/setup.sh:1: begins with #! but cannot be run: chmod +x"])

    def test_messages_name_file_and_line(self):
        found = self.breaches(CLEAN | {"src/log/a.cc": SPDX + "\n\nstd::thread t;\n"})
        self.assertTrue(found[0].startswith("src/log/a.cc:4: "), found)

    def test_a_function_of_70_lines_is_allowed(self):
        self.assertEqual(self.breaches(CLEAN | {"src/log/a.cc": long_function(70)}), [])

    def test_public_headers_are_few_and_short(self):
        many = {f"include/varve/h{i}.h": SPDX for i in range(13)}
        many |= {f"include/varve/log_{i}.h": SPDX for i in range(12)}
        found = self.breaches(CLEAN | many)
        self.assertIn("13 public headers of the database", "".join(found))
        self.assertIn("13 public headers of the log", "".join(found))
        long = {f"include/varve/h{i}.h": SPDX + "//\n" * 299 for i in range(9)}
        self.assertIn("lines of public headers", self.breaches(CLEAN | long)[0])


if __name__ == "__main__":
    unittest.main()
