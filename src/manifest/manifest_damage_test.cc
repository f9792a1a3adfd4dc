// SPDX-License-Identifier: Apache-2.0
// Damaged, cut, moved, missing and forged objects: none is ever read as a state.
#include <algorithm>
#include <functional>
#include <set>

#include "manifest/json_line.h"
#include "manifest/manifest_codec.h"
#include "manifest/manifest_fixture.h"
#include "manifest/manifest_lines.h"

namespace varve::testing {
namespace {

class ManifestDamageTest : public ManifestTest {
 protected:
  bool OpenRefuses(ErrorReason reason = ErrorReason::kNone) {
    auto opened = Manifest::Open(&store_);
    if (opened) return false;
    message_ = opened.error().message();
    const auto kind = reason == ErrorReason::kNone ? ErrorKind::kCorruption : ErrorKind::kInvalid;
    return opened.error().kind() == kind && opened.error().reason() == reason;
  }

  struct Findings {
    std::vector<std::pair<std::string, std::uint64_t>> places;
    std::string newest;  // text of the newest readable state; empty: none
  };
  Findings Verify() {
    Findings found;
    Manifest::Counts counts;
    const auto sink = [&](const std::string& object, std::uint64_t offset, const std::string&) {
      found.places.emplace_back(object, offset);
    };
    const auto state = Manifest::Verify(&store_, sink, &counts);
    if (state) found.newest = Text(**state);
    return found;
  }

  bool VerifyNames(const std::string& object) {
    for (const auto& [name, offset] : Verify().places) {
      if (name == object) return true;
    }
    return false;
  }

  // Object `number` made of these texts, with right checksums and a right end.
  void Forge(std::uint64_t number, std::vector<std::string> texts, bool end = true) {
    LineWriter writer(number);
    for (const auto& text : texts) writer.Add(text);
    if (end) writer.Add(fmt::format(R"({{"kind":"end","lines":{}}})", writer.lines() + 1));
    store_.objects[ManifestName(number)] = writer.Take();
  }
  // The texts of the object, without "end".
  std::vector<std::string> Texts(std::uint64_t number) {
    std::vector<std::string> texts;
    LineReader reader(store_.objects[ManifestName(number)], number);
    while (!reader.done()) texts.emplace_back(reader.Next().value());
    texts.pop_back();
    return texts;
  }
  static std::string Replaced(std::string text, const std::string& from, const std::string& to) {
    const auto at = text.find(from);
    EXPECT_NE(at, std::string::npos) << from << " in " << text;
    return at == std::string::npos ? text : text.replace(at, from.size(), to);
  }

  std::string message_;
};

TEST_F(ManifestDamageTest, EveryFlippedByteIsFound) {
  SmallLife();
  const auto seed = TestSeed();
  SCOPED_TRACE(SeedTrace(seed));
  SeededRandom random(seed);
  const auto sound = store_.objects;
  for (const auto& [name, bytes] : sound) {
    for (std::size_t i = 0; i < bytes.size(); ++i) {
      store_.objects[name][i] ^= static_cast<char>(1 + random.Below(255));
      ASSERT_TRUE(OpenRefuses()) << name << " byte " << i;
      store_.objects[name] = bytes;
    }
  }
}

TEST_F(ManifestDamageTest, EveryFlippedByteOfWhatTablesWereIsFound) {
  ChangingLife();
  const auto name = ManifestName(kCheckpointEvery);
  const auto bytes = store_.objects[name];
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    store_.objects[name][i] ^= 1;
    ASSERT_TRUE(OpenRefuses()) << "byte " << i;
    store_.objects[name] = bytes;
  }
}

TEST_F(ManifestDamageTest, EveryCutIsFound) {
  SmallLife();
  const auto sound = store_.objects;
  for (const auto& [name, bytes] : sound) {
    for (std::size_t size = 0; size < bytes.size(); ++size) {
      store_.objects[name] = bytes.substr(0, size);
      ASSERT_TRUE(OpenRefuses()) << name << " cut to " << size;
    }
    store_.objects[name] = bytes + '\0';
    ASSERT_TRUE(OpenRefuses()) << name << " with a byte more";
    store_.objects[name] = bytes + bytes;
    ASSERT_TRUE(OpenRefuses()) << name << " twice";
    store_.objects[name] = bytes;
  }
}

TEST_F(ManifestDamageTest, EveryLineDroppedDoubledOrMovedIsFound) {
  SmallLife();
  const auto name = ManifestName(3);
  const auto bytes = store_.objects[name];
  std::vector<std::string> lines;
  for (std::size_t at = 0; at < bytes.size();) {
    const auto end = bytes.find('\n', at) + 1;
    lines.push_back(bytes.substr(at, end - at));
    at = end;
  }
  const auto put = [&](const std::vector<std::string>& with) {
    store_.objects[name] = fmt::format("{}", fmt::join(with, ""));
    return OpenRefuses();
  };
  for (std::size_t i = 0; i < lines.size(); ++i) {
    auto changed = lines;
    changed.erase(changed.begin() + static_cast<std::ptrdiff_t>(i));
    EXPECT_TRUE(put(changed)) << "without line " << i;
    changed = lines;
    changed.insert(changed.begin() + static_cast<std::ptrdiff_t>(i), lines[i]);
    EXPECT_TRUE(put(changed)) << "line " << i << " twice";
    if (i == 0) continue;
    changed = lines;
    std::swap(changed[i], changed[i - 1]);
    EXPECT_TRUE(put(changed)) << "line " << i << " moved up";
  }
  EXPECT_FALSE(put(lines));
}

TEST_F(ManifestDamageTest, TheMessageSaysObjectLineOffsetExpectedAndFound) {
  SmallLife();
  store_.objects[ManifestName(3)][200] ^= 1;
  ASSERT_TRUE(OpenRefuses());
  for (const std::string part : {"store:manifest/00000000000000000003", "line 1, offset 0",
                                 "expected checksum", "found", "restore"}) {
    EXPECT_NE(message_.find(part), std::string::npos) << part << " in " << message_;
  }
}

TEST_F(ManifestDamageTest, AnObjectUnderAnotherNumberIsFound) {
  SmallLife();
  store_.objects[ManifestName(7)] = store_.objects[ManifestName(6)];
  EXPECT_TRUE(OpenRefuses());
  store_.objects[ManifestName(7)] = store_.objects[ManifestName(1)];
  EXPECT_TRUE(OpenRefuses());
}

TEST_F(ManifestDamageTest, AnObjectOfAnotherHistoryIsFound) {
  SmallLife();
  ScriptedStore other;
  ASSERT_TRUE(Manifest::Create(&other, std::string(32, 'e'), {1}));
  auto manifest = *Manifest::Open(&other);
  ASSERT_TRUE(manifest->Commit({NewTable(1, "orders")}, {2}));
  store_.objects[ManifestName(2)] = other.objects[ManifestName(2)];
  EXPECT_TRUE(OpenRefuses());
  EXPECT_NE(message_.find("not of this history"), std::string::npos) << message_;
  // Also when the checksum of the object before it were to agree.
  auto texts = Texts(1);
  texts[0] = Replaced(texts[0], kDatabase, std::string(32, 'e'));
  Forge(1, texts);
  EXPECT_TRUE(OpenRefuses());
}

TEST_F(ManifestDamageTest, AMissingObjectInTheMiddleIsFound) {
  SmallLife();
  for (std::uint64_t number = 1; number < 6; ++number) {
    auto kept = store_.objects.extract(ManifestName(number));
    EXPECT_TRUE(OpenRefuses()) << number;
    EXPECT_NE(message_.find(ManifestName(number)), std::string::npos) << message_;
    EXPECT_TRUE(VerifyNames(ManifestName(number)));
    store_.objects.insert(std::move(kept));
  }
}

// A promise of the store and the log, not of the manifest: README.md says so.
TEST_F(ManifestDamageTest, AMissingNewestObjectGivesTheStateBeforeIt) {
  Commit({NewTable(1, "t")});
  const auto before = StateText();
  Commit({NewRun(1)});
  store_.objects.erase(ManifestName(3));
  Reopen();
  EXPECT_EQ(StateText(), before);
}

TEST_F(ManifestDamageTest, VerifyFindsDamageThatOpenDoesNotRead) {
  Commit({NewTable(1, "t")});
  for (std::uint64_t id = 1; id <= kCheckpointEvery; ++id) Commit({NewRun(id)});
  const auto newest = StateText();
  EXPECT_TRUE(Verify().places.empty());
  for (const std::uint64_t number : {1u, 3u}) {
    const auto name = ManifestName(number);
    const auto bytes = store_.objects[name];
    for (std::size_t i = 0; i < bytes.size(); i += 7) {
      store_.objects[name][i] ^= 0x10;
      const auto found = Verify();
      ASSERT_EQ(found.places.size(), 1u) << name << " byte " << i;
      ASSERT_EQ(found.places[0].first, name);
      ASSERT_LE(found.places[0].second, i);
      ASSERT_EQ(found.newest, newest);
      store_.objects[name] = bytes;
    }
  }
}

TEST_F(ManifestDamageTest, VerifyGivesTheNewestStateThatCanBeRead) {
  SmallLife();
  store_.objects[ManifestName(6)][50] ^= 1;
  const auto at_five = Verify();
  EXPECT_EQ(at_five.places.size(), 1u);
  EXPECT_NE(at_five.newest.find("#5 "), std::string::npos);
  store_.objects[ManifestName(1)][50] ^= 1;
  const auto none = Verify();
  EXPECT_EQ(none.places.size(), 2u);
  EXPECT_EQ(none.newest, "");
}

TEST_F(ManifestDamageTest, VerifyComparesACheckpointWithTheHistoryBeforeIt) {
  Commit({NewTable(1, "t")});
  for (std::uint64_t id = 1; id <= kCheckpointEvery - 2; ++id) Commit({NewRun(id)});
  auto texts = Texts(kCheckpointEvery);
  auto& run = texts.back();
  run = Replaced(run, R"("level":0)", R"("level":1)");
  Forge(kCheckpointEvery, texts);
  EXPECT_TRUE(VerifyNames(ManifestName(kCheckpointEvery)));
}

TEST_F(ManifestDamageTest, ANewerFormatIsUnsupportedNotDamaged) {
  auto texts = Texts(1);
  Forge(1, {Replaced(texts[0], R"("format":1)", R"("format":4)"), texts[1]});
  EXPECT_TRUE(OpenRefuses(ErrorReason::kUnsupportedFormat)) << message_;
}

TEST_F(ManifestDamageTest, AnUnknownLineOrMemberIsUnsupportedNotIgnored) {
  Commit({NewTable(1, "t")});
  const auto sound = Texts(2);
  Forge(2, {sound[0], R"({"kind":"banner","name":"x"})"});
  EXPECT_TRUE(OpenRefuses(ErrorReason::kUnsupportedFormat)) << message_;
  Forge(2, {sound[0], R"({"kind":"remove_run","table":1,"run":1,"why":"x"})"});
  EXPECT_TRUE(OpenRefuses(ErrorReason::kUnsupportedFormat)) << message_;
}

// Right checksums, wrong content: written by a defect or by an enemy.
TEST_F(ManifestDamageTest, ForgedLinesAreRefused) {
  Commit({NewTable(1, "t"), NewRun(1)});
  const auto sound = Texts(2);
  const auto header = sound[0], table = sound[1], run = sound[2];
  const auto deep = std::string(1'000'000, '[');
  std::string wide = R"({"kind":"add_run")";
  for (int i = 0; i < 100'000; ++i) wide += fmt::format(R"(,"{}":1)", i);
  const std::vector<std::vector<std::string>> forgeries = {
      {},
      {table},
      {header, header},
      {header, ""},
      {header, "null"},
      {header, "7"},
      {header, "[]"},
      {header, "{}"},
      {header, R"({"kind":7})"},
      {header, R"({"kind":"advance"})"},
      {header, R"({"kind":"advance"}})"},
      {header, "{\"kind\":\"\xff\xfe\"}"},
      {header, deep},
      {header, R"({"kind":)" + deep},
      {header, wide + "}"},
      {header, table, table},
      {header, run},
      {header, table, run, run},
      {header, R"({"kind":"remove_run","table":1,"run":99})"},
      {header, Replaced(table, R"("table":1)", R"("table":0)")},
      {header, Replaced(table, R"("table":1)", R"("table":-1)")},
      {header, Replaced(table, R"("table":1)", R"("table":4294967296)")},
      {header, Replaced(table, R"("table":1)", R"("table":4294967295)")},
      {header, Replaced(table, R"("table":1)", R"("table":1e3)")},
      {header, Replaced(table, R"("name":"t")", R"("name":"../t")")},
      {header, Replaced(table, R"("schema":")", R"("schema":"zz)")},
      {header, Replaced(table, R"("schema":")", R"("schema":"00)")},
      {header, table, Replaced(run, R"("run":1)", R"("run":18446744073709551615)")},
      {header, table, Replaced(run, R"("run":1)", R"("run":18446744073709551616)")},
      {header, table, Replaced(run, R"("run":1)", R"("run":"1")")},
      {header, table, Replaced(run, R"("level":0)", R"("level":1000)")},
      {header, table, Replaced(run, R"("data":"data)", R"("data":"../data)")},
      {header, table, Replaced(run, R"("min_key":")", R"("min_key":"8)")},
      {header, table, Replaced(run, "false", "0")},
      {Replaced(header, R"("number":2)", R"("number":3)"), table, run},
      {Replaced(header, R"("commit":0)", R"("commit":1)"), table, run},
      {Replaced(header, R"("checkpoint":false)", R"("checkpoint":true)"), table, run},
  };
  for (std::size_t i = 0; i < forgeries.size(); ++i) {
    Forge(2, forgeries[i]);
    auto opened = Manifest::Open(&store_);
    ASSERT_FALSE(opened) << i;
    EXPECT_TRUE(opened.error().kind() == ErrorKind::kCorruption ||
                opened.error().reason() == ErrorReason::kUnsupportedFormat)
        << i << ": " << opened.error().message();
  }
  Forge(2, sound, /*end=*/false);
  EXPECT_TRUE(OpenRefuses());
  Forge(2, sound);
  EXPECT_FALSE(OpenRefuses()) << message_;
}

TEST_F(ManifestDamageTest, ForgedHistoriesOfTablesAreRefused) {
  ChangingLife();
  store_.objects.erase(store_.objects.begin(), store_.objects.find(ManifestName(kCheckpointEvery)));
  const auto sound = Texts(kCheckpointEvery);
  const auto find = [&](std::string_view kind) {
    const auto at = std::ranges::find_if(sound, [&](const auto& text) {
      return text.starts_with(fmt::format(R"({{"kind":"{}")", kind));
    });
    return static_cast<std::size_t>(at - sound.begin());
  };
  const auto schema = find("former_schema"), former = find("former"),
             dropped = find("dropped_table"), version = find("version");
  ASSERT_LT(version, sound.size());
  const auto refuses = [&](std::vector<std::string> texts) {
    Forge(kCheckpointEvery, std::move(texts));
    return OpenRefuses();
  };
  const auto with = [&](std::size_t place, const std::string& from, const std::string& to) {
    auto texts = sound;
    texts[place] = Replaced(texts[place], from, to);
    return texts;
  };
  const auto twice = [&](std::size_t place) {
    auto texts = sound;
    texts.insert(texts.begin() + static_cast<std::ptrdiff_t>(place), sound[place]);
    return texts;
  };
  const auto swapped = [&](std::size_t place) {
    auto texts = sound;
    std::swap(texts[place], texts[place - 1]);
    return texts;
  };
  EXPECT_TRUE(refuses(twice(schema)));
  EXPECT_TRUE(refuses(swapped(schema)));      // before its table
  EXPECT_TRUE(refuses(swapped(schema + 1)));  // 2 before 1
  EXPECT_TRUE(refuses(with(schema, R"("schema_id":1)", R"("schema_id":3)")));
  EXPECT_TRUE(refuses(with(schema, R"("table":1)", R"("table":3)")));
  EXPECT_TRUE(refuses(twice(former)));
  EXPECT_TRUE(refuses(swapped(former)));      // before a schema of its table
  EXPECT_TRUE(refuses(swapped(find("run"))));  // before its table
  EXPECT_TRUE(refuses(with(former, R"("schema_id":1)", R"("schema_id":4)")));
  EXPECT_TRUE(refuses(with(former, R"("table":1)", R"("table":3)")));
  EXPECT_TRUE(refuses(with(former, R"("until":5)", R"("until":0)")));
  EXPECT_TRUE(refuses(with(former, R"("until":5)", R"("until":12)")));
  EXPECT_TRUE(refuses(with(former, R"("name":"orders")", R"("name":"../orders")")));
  EXPECT_TRUE(refuses(twice(dropped)));
  EXPECT_TRUE(refuses(with(dropped, R"("commit":6)", R"("commit":0)")));
  EXPECT_TRUE(refuses(with(dropped, R"("commit":6)", R"("commit":12)")));
  EXPECT_TRUE(refuses(with(dropped, R"("table":2)", R"("table":1)")));
  EXPECT_FALSE(refuses(sound)) << message_;
}

TEST_F(ManifestDamageTest, ForgedCheckpointsAreRefused) {
  Commit({NewTable(1, "t"), NewRun(1), NewRun(2), AdvanceTo(5)});
  for (std::uint64_t i = 3; i <= kCheckpointEvery; ++i) Commit({NewRun(i)});
  store_.objects.erase(store_.objects.begin(),
                       store_.objects.find(ManifestName(kCheckpointEvery)));
  const auto sound = Texts(kCheckpointEvery);  // header, add_run, state, table, runs, version
  const auto forge = [&](const std::function<void(std::vector<std::string>*)>& change) {
    auto texts = sound;
    change(&texts);
    Forge(kCheckpointEvery, texts);
    return OpenRefuses() || OpenRefuses(ErrorReason::kUnsupportedFormat);
  };
  using Lines = std::vector<std::string>;
  EXPECT_TRUE(forge([](Lines* lines) { lines->erase(lines->begin() + 2); }));
  EXPECT_TRUE(forge([](Lines* lines) { lines->erase(lines->begin() + 3); }));
  EXPECT_TRUE(forge([](Lines* lines) { lines->pop_back(); }));
  EXPECT_TRUE(forge([](Lines* lines) { std::swap((*lines)[4], (*lines)[5]); }));
  EXPECT_TRUE(forge([](Lines* lines) { lines->insert(lines->begin() + 4, (*lines)[4]); }));
  EXPECT_TRUE(forge([](Lines* lines) { lines->push_back(lines->back()); }));
  EXPECT_TRUE(forge([](Lines* lines) { lines->push_back((*lines)[1]); }));
  EXPECT_TRUE(forge([](Lines* lines) {
    (*lines)[2] = Replaced((*lines)[2], R"("next_run_id":33)", R"("next_run_id":2)");
  }));
  EXPECT_TRUE(forge([](Lines* lines) {
    (*lines)[2] = Replaced((*lines)[2], R"("commit":5)", R"("commit":6)");
  }));
  EXPECT_FALSE(forge([](Lines*) {})) << message_;
}

TEST_F(ManifestDamageTest, ForgedTimesAndTagsOfACheckpointAreRefused) {
  Commit({AdvanceTo(3)});
  Commit({AdvanceTo(5), TimesOf(4, 5), NewTag("a", 1), NewTag("b", 9)});
  for (std::uint64_t i = 3; i < kCheckpointEvery; ++i) {
    Commit({AdvanceEdit{{5}, {}, {50 + i}, {60 + i}}});
  }
  store_.objects.erase(store_.objects.begin(), store_.objects.find(ManifestName(kCheckpointEvery)));
  // header, advance, state, two versions, times, two tags
  const auto sound = Texts(kCheckpointEvery);
  const auto forge = [&](std::size_t line, const std::string& from, const std::string& to) {
    auto texts = sound;
    texts[line] = Replaced(texts[line], from, to);
    Forge(kCheckpointEvery, texts);
    return OpenRefuses();
  };
  EXPECT_FALSE(forge(5, "times", "times")) << message_;
  EXPECT_TRUE(forge(5, R"("first":4)", R"("first":3)"));
  EXPECT_TRUE(forge(5, R"("commit":5)", R"("commit":3)"));
  EXPECT_TRUE(forge(6, R"("name":"a")", R"("name":"c")"));  // out of order
  EXPECT_TRUE(forge(6, R"("name":"a")", R"("name":"b")"));  // twice
  EXPECT_TRUE(forge(6, R"("name":"a")", R"("name":"1")"));
}

TEST_F(ManifestDamageTest, NumbersThatNoManifestHasAreRefused) {
  for (const std::string number : {"18446744073709551615", "99999999999999999999"}) {
    const auto name = "manifest/" + number;
    store_.objects[name] = store_.objects[ManifestName(1)];
    EXPECT_TRUE(OpenRefuses()) << number;
    EXPECT_NE(message_.find(number), std::string::npos) << message_;
    EXPECT_TRUE(VerifyNames(name));
    store_.objects.erase(name);
  }
  // Before the first object nothing is looked for; Verify sees it.
  store_.objects[ManifestName(0)] = store_.objects[ManifestName(1)];
  EXPECT_FALSE(OpenRefuses());
  EXPECT_TRUE(VerifyNames(ManifestName(0)));
}

TEST_F(ManifestDamageTest, AReadErrorIsNotTakenForDamage) {
  store_.get_error = Error(ErrorKind::kUnavailable, "the cable is out", ErrorReason::kIo);
  const auto opened = Manifest::Open(&store_);
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().kind(), ErrorKind::kUnavailable);
  Manifest::Counts counts;
  const auto verified = Manifest::Verify(
      &store_, [](const auto&, auto, const auto& what) { ADD_FAILURE() << what; }, &counts);
  EXPECT_EQ(verified.error().kind(), ErrorKind::kUnavailable);
}

TEST_F(ManifestDamageTest, DumpShowsEachLineUpToTheDamage) {
  SmallLife();
  auto bytes = store_.objects[ManifestName(3)];
  std::vector<std::string> lines;
  const auto keep = [&](std::string_view line) { lines.emplace_back(line); };
  ASSERT_TRUE(Manifest::Dump(bytes, keep));
  ASSERT_EQ(lines.size(), 5u);
  EXPECT_EQ(lines[0].substr(0, 7), "header ");
  EXPECT_NE(lines[2].find("add_run "), std::string::npos);
  EXPECT_NE(lines[2].find(" data=data/t/00000000000000000002.parquet"), std::string::npos);
  EXPECT_EQ(lines[4], "end lines=5");

  lines.clear();
  bytes[bytes.find("add_run", bytes.find("add_run") + 1)] ^= 1;
  const auto damaged = Manifest::Dump(bytes, keep);
  ASSERT_FALSE(damaged);
  EXPECT_EQ(damaged.error().kind(), ErrorKind::kCorruption);
  EXPECT_NE(damaged.error().message().find("line 3"), std::string::npos);
  EXPECT_EQ(lines.size(), 2u);
}

TEST(ManifestDump, OfAnythingElseIsAnError) {
  for (const std::string bytes : {"", "\n", "PAR1", "{\"kind\":\"header\",\"number\":0} crc32c=0",
                                  "{\"kind\":\"header\",\"number\":18446744073709551615}"
                                  " crc32c=00000000\n"}) {
    const auto dumped = Manifest::Dump(bytes, [](std::string_view) { ADD_FAILURE(); });
    EXPECT_EQ(dumped.error().kind(), ErrorKind::kCorruption);
  }
}

}  // namespace
}  // namespace varve::testing
