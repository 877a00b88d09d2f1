// The judge's state as bytes:
//
//     u8 version, raw 8 (of the plan's digest), varint looks, varint unknown, metrics
//     metric: u8 failed, varint looks, marks, next mark, mark's look, beyond limit, baseline
//     beyond,
//             4 varints of readings, wealth, harm, finding, hosts
//     host:   u8 seen, varint last_at_ms, u64 process, 2 + 4 numbers, u8 has buckets, buckets
//
// A number is the 8 bytes of a finite double; those of a finding may be NaN.
#include <bit>
#include <cmath>

#include "common/core/errc.h"
#include "common/core/sha256.h"
#include "orchestrator/judge/judge.h"

namespace slipway::orchestrator::judge {
namespace {

constexpr std::uint8_t version = 1;
constexpr std::size_t digest_bytes = 8;

class Writer {
public:
    explicit Writer(Bytes& out) : out_(out) {}
    void flag(bool value) { out_.u8(value ? 1 : 0); }
    void byte(std::uint8_t value) { out_.u8(value); }
    void whole_number(std::uint64_t value) { out_.varint(value); }
    void process(std::uint64_t value) { out_.u64(value); }
    void number(double value) { out_.u64(std::bit_cast<std::uint64_t>(value)); }
    void any_number(double value) { number(value); }
    void numbers(std::span<const double> values) {
        for (const double value : values) {
            number(value);
        }
    }

private:
    ByteWriter out_;
};

// The first problem is kept; what follows gives nothing.
class Reader {
public:
    explicit Reader(ByteSpan bytes) : in_(bytes, "state of the judge") {}

    void flag(bool& into) {
        std::uint8_t value = 0;
        byte(value, 1);
        into = value == 1;
    }
    void byte(std::uint8_t& into, std::uint8_t max) {
        take(in_.u8(), into);
        if (into > max) {
            refuse("a field is out of its range");
        }
    }
    template <typename Number>
    void whole_number(Number& into) {
        std::uint64_t value = 0;
        take(in_.varint(std::numeric_limits<Number>::max(), "count"), value);
        into = static_cast<Number>(value);
    }
    void process(std::uint64_t& into) { take(in_.u64(), into); }
    void number(double& into) {
        any_number(into);
        if (!std::isfinite(into)) {
            refuse("a number is not finite");
        }
    }
    void any_number(double& into) {
        std::uint64_t bits = 0;
        take(in_.u64(), bits);
        into = std::bit_cast<double>(bits);
    }
    void numbers(std::span<double> into) {
        for (double& value : into) {
            number(value);
        }
    }
    void digest(ByteSpan expected) {
        const auto found = in_.raw(expected.size(), "plan");
        if (!found) {
            return refuse("it is cut off");
        }
        if (!std::equal(expected.begin(), expected.end(), found->begin())) {
            refuse("it is of another plan");
        }
    }
    void end() {
        if (!in_.at_end()) {
            refuse("bytes follow its end");
        }
    }
    [[nodiscard]] bool is_fine() const { return !error_; }
    [[nodiscard]] Error error() const { return *error_; }
    void refuse(std::string_view why) {
        if (!error_) {
            error_ = in_.malformed(why).value();
        }
    }

private:
    template <typename From, typename Into>
    void take(const Result<From>& from, Into& into) {
        if (error_) {
            return;
        }
        if (!from) {
            error_ = from.error();
            return;
        }
        into = *from;
    }
    ByteReader in_;
    std::optional<Error> error_;
};

Bytes digest_of(const Plan& plan) {
    Bytes bytes;
    ByteWriter raw(bytes);
    Writer out(bytes);
    const auto text = [&](const std::string& value) {
        out.whole_number(value.size());
        raw.raw(as_bytes(value));
    };
    for (const auto* group : {&plan.canary, &plan.baseline}) {
        out.whole_number(group->size());
        for (const auto& host : *group) {
            text(host);
        }
    }
    out.numbers(std::array{plan.false_alarm_max, plan.miss_max, plan.data_min});
    for (const auto& rules : plan.metrics) {
        text(rules.name);
        out.byte(static_cast<std::uint8_t>(rules.kind));
        out.byte(static_cast<std::uint8_t>(rules.direction));
        out.flag(rules.cumulative);
        out.flag(rules.limit.has_value());
        out.numbers(std::array{rules.tolerated, rules.harm_max, rules.limit.value_or(0),
                               rules.negligible_rate, rules.quantile, rules.samples_min});
        out.whole_number(rules.limit_looks);
        out.whole_number(rules.warm_up_s);
        out.whole_number(rules.bucket_bounds.size());
        out.numbers(rules.bucket_bounds);
        text(rules.query);
        text(rules.exposure_query);
    }
    const auto digest = sha256(bytes);
    return {digest.bytes.begin(), digest.bytes.begin() + digest_bytes};
}

// One list of fields for both directions.
template <typename Codec, typename Finding>
void code_finding(Codec& codec, Finding& f) {
    for (auto* number :
         {&f.canary, &f.baseline, &f.effect, &f.effect_low, &f.effect_high, &f.evidence, &f.needed,
          &f.canary_amount, &f.baseline_amount, &f.canary_exposure, &f.baseline_exposure,
          &f.dispersion, &f.coverage, &f.tolerated, &f.harmful, &f.limit}) {
        codec.any_number(*number);
    }
    codec.whole_number(f.canary_hosts);
    codec.whole_number(f.baseline_hosts);
}

template <typename Codec, typename Metric>
void code_metric(Codec& codec, Metric& m) {
    codec.flag(m.failed);
    codec.whole_number(m.looks);
    codec.whole_number(m.marks);
    codec.whole_number(m.next_mark);
    codec.whole_number(m.mark_look);
    codec.whole_number(m.beyond_limit);
    codec.whole_number(m.base_beyond);
    for (const auto group : {0U, 1U}) {
        codec.whole_number(m.expected[group]);
        codec.whole_number(m.present[group]);
    }
    for (const auto window : {whole, recent}) {
        codec.numbers(m.wealth[window]);
    }
    codec.numbers(m.harm);
    code_finding(codec, m.finding);
}

template <typename Codec, typename Host>
void code_host(Codec& codec, Host& host) {
    codec.flag(host.seen);
    codec.whole_number(host.last_at_ms);
    codec.process(host.process);
    codec.number(host.last_amount);
    codec.number(host.last_exposure);
    codec.numbers(host.sum);
    codec.numbers(host.weight);
}

} // namespace

Bytes encode(const Plan& plan, const State& state) {
    Bytes bytes;
    Writer out(bytes);
    out.byte(version);
    const auto digest = digest_of(plan);
    bytes.insert(bytes.end(), digest.begin(), digest.end());
    out.whole_number(state.looks);
    out.whole_number(state.unknown);
    for (const auto& metric : state.metrics) {
        code_metric(out, metric);
        out.byte(static_cast<std::uint8_t>(metric.finding.verdict));
        out.byte(static_cast<std::uint8_t>(metric.finding.why));
        for (const auto& host : metric.hosts) {
            code_host(out, host);
            out.flag(!host.last_buckets.empty());
            out.numbers(host.last_buckets);
        }
    }
    return bytes;
}

Result<State> decode(const Plan& plan, ByteSpan bytes) {
    Reader in(bytes);
    std::uint8_t found = 0;
    in.byte(found, 255);
    if (in.is_fine() && found != version) {
        in.refuse("it is of version " + std::to_string(found) + ", not " + std::to_string(version));
    }
    in.digest(digest_of(plan));
    if (!in.is_fine()) {
        return tl::unexpected(in.error());
    }
    State state = begin(plan);
    in.whole_number(state.looks);
    in.whole_number(state.unknown);
    for (std::size_t i = 0; i < plan.metrics.size() && in.is_fine(); ++i) {
        auto& metric = state.metrics[i];
        code_metric(in, metric);
        std::uint8_t verdict = 0;
        std::uint8_t why = 0;
        in.byte(verdict, static_cast<std::uint8_t>(Verdict::not_enough_evidence));
        in.byte(why, whys - 1);
        metric.finding.metric = plan.metrics[i].name;
        metric.finding.verdict = in.is_fine() ? static_cast<Verdict>(verdict) : Verdict::fail;
        metric.finding.why = in.is_fine() ? static_cast<Why>(why) : Why::unsure;
        for (auto& host : metric.hosts) {
            code_host(in, host);
            bool has_buckets = false;
            in.flag(has_buckets);
            if (has_buckets && in.is_fine()) {
                host.last_buckets.resize(plan.metrics[i].bucket_bounds.size() + 1);
                in.numbers(host.last_buckets);
            }
        }
    }
    in.end();
    if (!in.is_fine()) {
        return tl::unexpected(in.error());
    }
    return state;
}

} // namespace slipway::orchestrator::judge
