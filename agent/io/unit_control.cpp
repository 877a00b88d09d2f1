#include "agent/io/unit_control.h"

#include <cstring>
#include <filesystem>
#include <thread>

#include <systemd/sd-bus.h>
#include <unistd.h>

#include "common/core/errc.h"

namespace slipway::agent {
namespace {

using Clock = std::chrono::steady_clock;
using namespace std::chrono_literals;

constexpr auto destination = "org.freedesktop.systemd1";
constexpr auto manager_path = "/org/freedesktop/systemd1";
constexpr auto manager = "org.freedesktop.systemd1.Manager";
constexpr auto unit_interface = "org.freedesktop.systemd1.Unit";
constexpr auto service_interface = "org.freedesktop.systemd1.Service";
constexpr auto private_socket = "/run/systemd/private";
constexpr auto glance = 50ms; // How often a stop request and a unit that comes up are looked for.

class BusError {
public:
    BusError() = default;
    ~BusError() { sd_bus_error_free(&error_); }
    BusError(const BusError&) = delete;
    BusError& operator=(const BusError&) = delete;
    sd_bus_error* out() { return &error_; }

    [[nodiscard]] tl::unexpected<Error> explain(int result, const std::string& what) const {
        const std::string why = error_.message != nullptr ? error_.message : ::strerror(-result);
        return fail(code(result), what + ": " + why);
    }

private:
    [[nodiscard]] Errc code(int result) const {
        const std::string_view name = error_.name != nullptr ? error_.name : "";
        if (name.ends_with(".NoSuchUnit") || name.ends_with(".LoadFailed")) {
            return Errc::not_found;
        }
        if (name.ends_with(".AccessDenied") ||
            name.ends_with(".InteractiveAuthorizationRequired") || result == -EACCES ||
            result == -EPERM) {
            return Errc::forbidden;
        }
        return name.starts_with("org.freedesktop.systemd1.") ? Errc::failed : Errc::unreachable;
    }
    sd_bus_error error_{};
};

struct MessageUnref {
    void operator()(sd_bus_message* message) const { sd_bus_message_unref(message); }
};
using Message = std::unique_ptr<sd_bus_message, MessageUnref>;
struct SlotUnref {
    void operator()(sd_bus_slot* slot) const { sd_bus_slot_unref(slot); }
};
using Slot = std::unique_ptr<sd_bus_slot, SlotUnref>;

/// A text property; empty if there is none (a unit that is no service has no Result).
std::string text_property(sd_bus* bus, const std::string& path, const char* interface,
                          const char* name) {
    BusError error;
    char* value = nullptr;
    if (sd_bus_get_property_string(bus, destination, path.c_str(), interface, name, error.out(),
                                   &value) < 0) {
        return {};
    }
    const std::unique_ptr<char, decltype(&::free)> owned(value, &::free);
    return value;
}

template <typename T>
T number_property(sd_bus* bus, const std::string& path, const char* name, char type) {
    BusError error;
    T value = 0;
    const auto result = sd_bus_get_property_trivial(
        bus, destination, path.c_str(), service_interface, name, error.out(), type, &value);
    return result < 0 ? 0 : value;
}

/// Path of the first program of ExecStart=.
std::string program_property(sd_bus* bus, const std::string& path) {
    BusError error;
    sd_bus_message* raw = nullptr;
    const auto result = sd_bus_get_property(bus, destination, path.c_str(), service_interface,
                                            "ExecStart", error.out(), &raw, "a(sasbttttuii)");
    const Message message(raw);
    const char* program = nullptr;
    if (result < 0 || sd_bus_message_enter_container(raw, 'a', "(sasbttttuii)") <= 0 ||
        sd_bus_message_enter_container(raw, 'r', "sasbttttuii") <= 0 ||
        sd_bus_message_read(raw, "s", &program) <= 0) {
        return {};
    }
    return program;
}

Result<sd_bus*> open_bus(const std::string& address) {
    sd_bus* bus = nullptr;
    int result = sd_bus_new(&bus);
    std::string where = address;
    if (where.empty() && ::geteuid() == 0 && std::filesystem::exists(private_socket)) {
        where = std::string("unix:path=") + private_socket; // As systemctl does: no daemon between.
    }
    const bool direct = where.ends_with("/private");
    if (where.empty()) {
        sd_bus_unref(bus);
        bus = nullptr;
        result = sd_bus_open_system(&bus);
    } else if (result >= 0) {
        result = sd_bus_set_address(bus, where.c_str());
        if (result >= 0 && !direct) {
            result = sd_bus_set_bus_client(bus, 1);
        }
        if (result >= 0) {
            result = sd_bus_start(bus);
        }
    }
    if (result < 0) {
        sd_bus_unref(bus);
        return fail(Errc::unreachable, "connect to systemd over D-Bus (" +
                                           (where.empty() ? "system bus" : where) +
                                           "): " + ::strerror(-result) +
                                           "; on a host without systemd, use a 'command'");
    }
    return bus;
}

} // namespace

/// A job of systemd that we wait for.
struct UnitControl::Job {
    std::string path;
    std::string result; ///< "done", "failed", "timeout", …; empty while it runs.
    std::vector<std::pair<std::string, std::string>> removed; ///< Seen before the path was known.

    static int on_removed(sd_bus_message* message, void* job, sd_bus_error* /*error*/) {
        std::uint32_t id = 0;
        const char* path = nullptr;
        const char* unit = nullptr;
        const char* result = nullptr;
        if (sd_bus_message_read(message, "uoss", &id, &path, &unit, &result) >= 0) {
            static_cast<Job*>(job)->removed.emplace_back(path, result);
        }
        return 0;
    }
    void look() {
        for (const auto& [removed_path, removed_result] : removed) {
            if (removed_path == path) {
                result = removed_result;
            }
        }
        removed.clear();
    }
};

std::string UnitStatus::text() const {
    auto out = name + ": " + active + " (" + sub + ")";
    if (!result.empty() && result != "success") {
        out += ", result " + result;
    }
    if (exit_status != 0) {
        out += ", exit status " + std::to_string(exit_status);
    }
    return out;
}

UnitHealth UnitStatus::health() const {
    // Inactive is down as well, but a unit between two starts is `activating`.
    return {.failed = active == "failed" || active == "inactive",
            .restarts = restarts,
            .detail = text()};
}

void UnitControl::Unref::operator()(sd_bus* bus) const {
    sd_bus_flush_close_unref(bus);
}
UnitControl::UnitControl(sd_bus* bus) : bus_(bus) {}
UnitControl::UnitControl(UnitControl&&) noexcept = default;
UnitControl::~UnitControl() = default;

Result<UnitControl> UnitControl::open(const std::string& address) {
    return open_bus(address).map([](sd_bus* bus) { return UnitControl(bus); });
}

Result<UnitStatus> UnitControl::status(const std::string& unit) {
    BusError error;
    sd_bus_message* raw = nullptr;
    const int result = sd_bus_call_method(bus_.get(), destination, manager_path, manager,
                                          "LoadUnit", error.out(), &raw, "s", unit.c_str());
    const Message reply(raw);
    const char* object = nullptr;
    if (result < 0 || sd_bus_message_read(raw, "o", &object) < 0) {
        return error.explain(result, "look at " + unit);
    }
    const std::string path = object;
    UnitStatus status;
    status.name = unit;
    status.load = text_property(bus_.get(), path, unit_interface, "LoadState");
    status.active = text_property(bus_.get(), path, unit_interface, "ActiveState");
    status.sub = text_property(bus_.get(), path, unit_interface, "SubState");
    if (status.load == "not-found") {
        return fail(Errc::not_found, unit + ": systemd knows no such unit");
    }
    if (status.active.empty()) {
        return fail(Errc::unreachable, "look at " + unit + ": systemd did not say its state");
    }
    if (unit.ends_with(".service")) {
        status.result = text_property(bus_.get(), path, service_interface, "Result");
        status.exit_status = number_property<std::int32_t>(bus_.get(), path, "ExecMainStatus", 'i');
        status.restarts = number_property<std::uint32_t>(bus_.get(), path, "NRestarts", 'u');
        status.main_pid = number_property<std::uint32_t>(bus_.get(), path, "MainPID", 'u');
        status.program = program_property(bus_.get(), path);
    }
    return status;
}

Result<> UnitControl::wait_for(Job& job, const RunUnit& unit, Clock::time_point deadline,
                               const std::stop_token& stop) {
    for (job.look(); job.result.empty(); job.look()) {
        if (stop.stop_requested()) {
            return fail(Errc::cancelled, "wait for " + unit.name);
        }
        if (Clock::now() >= deadline) {
            return fail(Errc::failed,
                        unit.name + ": its job did not end within " + duration_text(unit.timeout));
        }
        int result = sd_bus_process(bus_.get(), nullptr);
        if (result == 0) {
            constexpr auto wait = std::chrono::microseconds(glance);
            result = sd_bus_wait(bus_.get(), static_cast<std::uint64_t>(wait.count()));
        }
        if (result < 0 && result != -EINTR) {
            return fail(Errc::unreachable, "wait for " + unit.name + ": " + ::strerror(-result));
        }
    }
    return {};
}

Result<> UnitControl::run_job(const char* method, const RunUnit& unit,
                              const std::stop_token& stop) {
    const auto deadline = Clock::now() + unit.timeout;
    Job job;
    sd_bus_slot* raw_slot = nullptr;
    int result = sd_bus_match_signal(bus_.get(), &raw_slot, nullptr, manager_path, manager,
                                     "JobRemoved", &Job::on_removed, &job);
    const Slot slot(raw_slot); // Before `job` goes, this does.
    BusError error;
    if (result >= 0) {
        result = sd_bus_call_method(bus_.get(), destination, manager_path, manager, "Subscribe",
                                    error.out(), nullptr, "");
    }
    if (result < 0 && result != -EEXIST) {
        return error.explain(result, "listen to systemd");
    }
    BusError refused;
    sd_bus_message* raw = nullptr;
    result = sd_bus_call_method(bus_.get(), destination, manager_path, manager, method,
                                refused.out(), &raw, "ss", unit.name.c_str(), "replace");
    const Message reply(raw);
    const char* path = nullptr;
    if (result >= 0) {
        result = sd_bus_message_read(raw, "o", &path);
    }
    if (result < 0) {
        return refused.explain(result, std::string(method) + " " + unit.name);
    }
    job.path = path;
    if (auto waited = wait_for(job, unit, deadline, stop); !waited) {
        return waited;
    }
    if (job.result != "done") {
        const auto now = status(unit.name);
        return fail(Errc::failed, std::string(method) + " " + unit.name + ": the job ended as '" +
                                      job.result + "'; " + (now ? now->text() : "") +
                                      "; see: journalctl -u " + unit.name);
    }
    return {};
}

Result<UnitStatus> UnitControl::apply(const RunUnit& unit, const std::stop_token& stop) {
    const auto deadline = Clock::now() + unit.timeout;
    auto before = status(unit.name);
    if (!before) {
        return before;
    }
    const bool reload = unit.action == UnitAction::reload && before->active == "active";
    if (auto done = run_job(reload ? "ReloadUnit" : "RestartUnit", unit, stop); !done) {
        return tl::unexpected(done.error());
    }
    for (;;) {
        auto now = status(unit.name);
        if (!now || now->active == "active") {
            return now;
        }
        const bool moving = now->active == "activating" || now->active == "reloading";
        if (!moving || Clock::now() >= deadline) {
            return fail(Errc::failed, now->text() + ", not active after its " +
                                          std::string(to_string(unit.action)) +
                                          "; see: journalctl -u " + unit.name);
        }
        if (stop.stop_requested()) {
            return fail(Errc::cancelled, "wait for " + unit.name);
        }
        std::this_thread::sleep_for(glance);
    }
}

Result<> UnitControl::stop(const RunUnit& unit, const std::stop_token& stop) {
    auto stopped = run_job("StopUnit", unit, stop);
    const bool none = !stopped && stopped.error().code == Errc::not_found;
    return none ? Result<>{} : stopped;
}

} // namespace slipway::agent
