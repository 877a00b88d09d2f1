// Drives the gates and the notifier from tests/integration/test_gates.py:
//   gate_probe prometheus URL QUERY MAX [TOKEN_FILE CA_FILE]   prints verdict, number of samples,
//   why gate_probe gate URL SECRET_FILE ID BODY TIMEOUT_MS         prints verdict and why
//   gate_probe notify DB SECRET_FILE COUNT SECONDS NAME=URL... queues COUNT events, then sends
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

#include "common/core/errc.h"
#include "orchestrator/io/notifier.h"
#include "orchestrator/io/prometheus.h"

namespace {

using namespace slipway;
using namespace slipway::orchestrator;

std::int64_t now_ms() {
    return std::chrono::duration_cast<std::chrono::milliseconds>(
               std::chrono::system_clock::now().time_since_epoch())
        .count();
}

const char* word(GateVerdict verdict) {
    return verdict == GateVerdict::pass ? "pass" : verdict == GateVerdict::fail ? "fail" : "hold";
}

template <typename T>
T must(Result<T> result) {
    if (!result) {
        std::fprintf(stderr, "%s\n", describe(result.error()).c_str());
        std::exit(1);
    }
    return std::move(*result);
}

int ask_prometheus(const std::vector<std::string>& args) {
    Prometheus::Options options;
    options.url = args[0];
    options.timeout = std::chrono::milliseconds{2'000};
    options.stale_after = std::chrono::seconds{5};
    options.answer_bytes_max = 64ULL * 1024;
    if (args.size() > 4) {
        options.token_file = args[3];
        options.ca_file = args[4];
    }
    auto source = must(Prometheus::make(options));
    const auto reading = source.query(args[1], now_ms());
    const auto judged = judge_limits(reading, {.min = {}, .max = std::stod(args[2])});
    std::printf("%s %zu %s\n", word(judged.verdict), reading.samples.size(), judged.why.c_str());
    return 0;
}

int ask(const std::vector<std::string>& args) {
    WebhookTarget target;
    target.url = args[0];
    target.secret_file = args[1];
    target.timeout = std::chrono::milliseconds{std::stoi(args[4])};
    auto hook = must(Webhook::make(target));
    const auto answer = ask_gate(hook, args[2], args[3], [] { return now_ms() / 1'000; });
    std::printf("%s %s\n", word(answer.verdict), answer.why.c_str());
    return 0;
}

int notify(const std::vector<std::string>& args) {
    auto store = must(open_store(args[0]));
    std::vector<Receiver> receivers;
    for (std::size_t index = 4; index < args.size(); ++index) {
        const auto split = args[index].find('=');
        Receiver receiver;
        receiver.name = args[index].substr(0, split);
        receiver.target.url = args[index].substr(split + 1);
        receiver.target.secret_file = args[1];
        receiver.target.timeout = std::chrono::milliseconds{1'000};
        receivers.push_back(std::move(receiver));
    }
    for (int event = 1; event <= std::stoi(args[2]); ++event) {
        Changes changes;
        changes.messages = messages_of(receivers, "event-" + std::to_string(event), "test",
                                       now_ms(), "{\"n\":" + std::to_string(event) + "}");
        must(store->commit({}, changes));
    }
    auto notifier = must(Notifier::start(*store, receivers,
                                         {.retry_min = std::chrono::milliseconds{50},
                                          .retry_max = std::chrono::milliseconds{200},
                                          .now_unix_ms = now_ms}));
    std::printf("sending\n");
    std::fflush(stdout);
    std::this_thread::sleep_for(std::chrono::seconds{std::stoi(args[3])});
    return 0;
}

} // namespace

int main(int argc, char** argv) {
    const std::vector<std::string> args(argv + std::min(argc, 2), argv + argc);
    const std::string mode = argc > 1 ? argv[1] : "";
    if (mode == "prometheus" && args.size() >= 3) {
        return ask_prometheus(args);
    }
    if (mode == "gate" && args.size() == 5) {
        return ask(args);
    }
    if (mode == "notify" && args.size() >= 5) {
        return notify(args);
    }
    return 2;
}
