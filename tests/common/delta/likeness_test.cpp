#include "common/delta/likeness.h"

#include <algorithm>

#include <catch2/catch.hpp>

#include "tests/common/delta/samples.h"

namespace slipway {

TEST_CASE("likeness: a file with a small insertion is like itself, another file is not",
          "[likeness]") {
    const auto original = samples::text(300'000, 1);
    auto edited = original;
    edited.insert(edited.begin() + 1'000, {'a', 'b', 'c'});
    edited.insert(edited.begin() + 150'000, 5'000, 'x');
    CHECK(likeness(sketch_of(original), sketch_of(original)) == 1.0);
    CHECK(likeness(sketch_of(original), sketch_of(edited)) > 0.8);
    CHECK(likeness(sketch_of(original), sketch_of(samples::text(300'000, 2))) == 0.0);
}

TEST_CASE("likeness: half of the content in common is estimated as such", "[likeness]") {
    const auto common = samples::noise(1'000'000, 1);
    const auto left_rest = samples::noise(500'000, 2);
    auto left = common;
    left.insert(left.end(), left_rest.begin(), left_rest.end());
    const auto right_rest = samples::noise(500'000, 3);
    auto right = common;
    right.insert(right.end(), right_rest.begin(), right_rest.end());
    const auto estimate = likeness(sketch_of(left), sketch_of(right));
    CHECK(estimate > 0.25);
    CHECK(estimate < 0.75);
    CHECK(estimate == likeness(sketch_of(right), sketch_of(left)));
}

TEST_CASE("sketch_of: sorted, without doubles, and bounded for any length", "[likeness]") {
    CHECK(sketch_of({}).features.empty());
    CHECK(likeness(sketch_of({}), sketch_of({})) == 0.0);
    CHECK(sketch_of(as_bytes("short")).features.size() == 1);
    const auto features = sketch_of(samples::noise(5'000'000, 4)).features;
    CHECK(features.size() == 64);
    CHECK(std::adjacent_find(features.begin(), features.end(), std::greater_equal<>()) ==
          features.end());
    CHECK(sketch_of(Bytes(5'000'000, 0)).features.size() <= 2);
}

TEST_CASE("path_stem: names that differ in their content hash have one stem", "[likeness]") {
    const auto same = [](std::string_view left, std::string_view right) {
        return path_stem(left) == path_stem(right);
    };
    CHECK(same("js/main.3f2a.js", "js/main.b81e.js"));
    CHECK(same("js/main.3f2a9c.js", "js/main.b81e77.js"));
    CHECK(same("assets/index-BfX3kQ9a.js", "assets/index-Zz81pQwe.js"));
    CHECK(same("assets/index-D_x-8aQ1.js", "assets/index-C3ab91Xx.js"));
    CHECK(same("chunks/0f1e2d3c4b5a69788796a5b4c3d2e1f0/page.css",
               "chunks/00112233445566778899aabbccddeeff/page.css"));
    CHECK(same("app~vendor.a1b2c3d4.css.map", "app~vendor.99aabbcc.css.map"));
}

TEST_CASE("path_stem: names that differ in a word or a number keep their difference",
          "[likeness]") {
    for (const std::string_view path :
         {"src/main.cpp", "lib/libstdc++.so.6.0.30", "docs/2024-01-02.md", "usr/bin/python3",
          "node_modules/es-abstract/helpers.js", ".hidden", "a/.b/c", "decade.txt", "README", "x.",
          "feedback.js", "internationalization.js", ""}) {
        CHECK(path_stem(path) == path);
    }
}

} // namespace slipway
