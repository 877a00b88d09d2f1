#include <filesystem>
#include <fstream>

#include <unistd.h>

#include <catch2/catch.hpp>

#include "common/core/errc.h"
#include "orchestrator/core/gate_answers.h"
#include "orchestrator/io/outgoing.h"

using namespace slipway;
using namespace slipway::orchestrator;
using namespace std::chrono_literals;

namespace {

constexpr std::int64_t now_ms = 1'700'000'000'000;

MetricReading read(const std::string& body, int status = 200) {
    return parse_metric_answer(status, body, now_ms, 60s);
}

std::string vector_of(const std::string& samples, const std::string& more = "") {
    return R"({"status":"success")" + more + R"(,"data":{"resultType":"vector","result":[)" +
           samples + "]}}";
}

std::string sample(const std::string& value, const std::string& time = "1700000000.5") {
    return R"({"metric":{"host":"a"},"value":[)" + time + ",\"" + value + "\"]}";
}

GateVerdict judged(const std::string& body, int status = 200) {
    return judge_limits(read(body, status), {.min = 0, .max = 10}).verdict;
}

} // namespace

TEST_CASE("metric gate: values within the limits pass, one beyond fails", "[gates]") {
    CHECK(judged(vector_of(sample("1") + "," + sample("10"))) == GateVerdict::pass);
    CHECK(judged(vector_of(sample("1") + "," + sample("10.001"))) == GateVerdict::fail);
    CHECK(judged(vector_of(sample("-1e-9"))) == GateVerdict::fail);
    CHECK(judged(
              R"({"status":"success","data":{"resultType":"scalar","result":[1700000000,"2"]}})") ==
          GateVerdict::pass);
    const auto reading = read(vector_of(sample("1.5")));
    REQUIRE(reading.samples.size() == 1);
    CHECK(reading.samples[0].labels.at("host") == "a");
    CHECK(judge_limits(reading, {}).verdict == GateVerdict::hold);
}

TEST_CASE("metric gate: whatever is not a whole set of numbers holds", "[gates]") {
    const std::vector<std::string> missing{
        "",
        "[]",
        "{}",
        "null",
        "{\"status\":\"success\"}",
        vector_of(""),
        vector_of(sample("NaN")),
        vector_of(sample("1") + "," + sample("NaN")),
        vector_of(sample("+Inf")),
        vector_of(sample("-Inf")),
        vector_of(sample("")),
        vector_of(sample("1x")),
        vector_of(sample("1", "1699999000")),
        vector_of(sample("1", "1700000100")),
        vector_of(sample("1", "\"x\"")),
        vector_of("{}"),
        vector_of("7"),
        vector_of(sample("1"), R"(,"warnings":["partial"])"),
        vector_of(sample("1"), R"(,"warnings":{})"),
        R"({"status":"error","errorType":"bad_data","error":"parse"})",
        R"({"status":7,"data":{}})",
        R"({"status":"success","data":{"resultType":7,"result":[]}})",
        R"({"status":"success","data":{"resultType":"matrix","result":[{"values":[]}]}})",
        R"({"status":"success","data":{"resultType":"vector","result":{}}})",
        R"({"status":"success","data":[]})"};
    for (const auto& body : missing) {
        CAPTURE(body);
        CHECK(judged(body) == GateVerdict::hold);
        CHECK_FALSE(read(body).missing.empty());
        CHECK(read(body).samples.empty());
    }
    CHECK(judged(vector_of(sample("1")), 503) == GateVerdict::hold);
    std::string many = sample("1");
    for (int count = 0; count < 10'000; ++count) {
        many += "," + sample("1");
    }
    CHECK(judged(vector_of(many)) == GateVerdict::hold);
}

TEST_CASE("webhook gate: only a clear verdict counts", "[gates]") {
    const auto verdict = [](int status, const std::string& body) {
        return parse_gate_answer(status, body).verdict;
    };
    CHECK(verdict(200, R"({"verdict":"pass"})") == GateVerdict::pass);
    CHECK(verdict(202, R"({"verdict":"fail","reason":"5 > 3"})") == GateVerdict::fail);
    CHECK(parse_gate_answer(200, R"({"verdict":"fail","reason":"5 > 3\n"})").why == "5 > 3\\x0a");
    for (const std::string body : {"", "pass", "{}", "[\"pass\"]", R"({"verdict":true})",
                                   R"({"verdict":"PASS"})", R"({"verdict":["pass"]})"}) {
        CAPTURE(body);
        CHECK(verdict(200, body) == GateVerdict::hold);
    }
    CHECK(verdict(302, R"({"verdict":"pass"})") == GateVerdict::hold);
    CHECK(verdict(500, R"({"verdict":"fail"})") == GateVerdict::hold);
    CHECK(
        parse_gate_answer(200, R"({"verdict":"hold","reason":")" + std::string(5'000, 'x') + "\"}")
            .why.size() == 1'000);
}

TEST_CASE("outgoing: URLs that could reach what was not meant are refused", "[gates]") {
    for (const std::string url : {"https://gate.example/x?y=1", "https://10.0.0.7:9090",
                                  "http://127.0.0.1:1/", "http://[::1]:9/", "http://localhost"}) {
        CAPTURE(url);
        CHECK(check_outgoing_url(url));
    }
    for (const std::string url :
         {"file:///etc/passwd", "ftp://x", "gopher://x", "HTTP://x", "", "https://", "https:///x",
          "http://gate.example/", "http://127.example.com/", "http://localhost.example/",
          "https://user:pass@gate.example/", "http://localhost@evil.example/", "https://a b/",
          "https://a/\r\nHost: b", "https://a/#b", "https://a\\@b/",
          "http://169.254.169.254/latest/meta-data/", "https://[fe80::1]/"}) {
        CAPTURE(url);
        CHECK_FALSE(check_outgoing_url(url));
    }
    CHECK(check_outgoing_url("http://gate.example/", true));
    CHECK_FALSE(check_outgoing_url("http://169.254.169.254/", true));
}

TEST_CASE("outgoing: a signature is what Standard Webhooks' own example says", "[gates]") {
    const auto headers =
        sign_headers("msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, R"({"test": 2432232314})",
                     "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
    REQUIRE(headers);
    REQUIRE(headers->size() == 3);
    CHECK(headers->at(0) == "webhook-id: msg_p5jXN8AQM9LWM0D4loKWxJek");
    CHECK(headers->at(1) == "webhook-timestamp: 1614265330");
    CHECK(headers->at(2) == "webhook-signature: v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    CHECK_FALSE(sign_headers("a", 1, "", "whsec_!!!"));
    CHECK_FALSE(sign_headers("a", 1, "", "whsec_"));
}

TEST_CASE("outgoing: a secret's file is one line that others cannot read", "[gates]") {
    const auto file =
        std::filesystem::temp_directory_path() / ("slipway-secret-" + std::to_string(::getpid()));
    const auto with = [&](const std::string& text, std::filesystem::perms mode) {
        std::ofstream(file) << text;
        std::filesystem::permissions(file, mode);
        return read_secret(file);
    };
    using std::filesystem::perms;
    const auto mine = perms::owner_read | perms::owner_write;
    CHECK(with("s3cret\n", mine).value_or("") == "s3cret");
    CHECK_FALSE(with("s3cret", mine | perms::others_read));
    CHECK_FALSE(with("", mine));
    CHECK_FALSE(with("two\nlines", mine));
    CHECK_FALSE(with(std::string(5'000, 'x'), mine));
    std::filesystem::remove(file);
    CHECK_FALSE(read_secret(file));
}
