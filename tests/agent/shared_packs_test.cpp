#include "agent/io/shared_packs.h"

#include <fcntl.h>
#include <future>
#include <sys/stat.h>
#include <thread>

#include <catch2/catch.hpp>

#include "common/io/file_ops.h"
#include "common/repository/layout.h"
#include "tests/fakes/sample_pack.h"

namespace slipway::agent {
namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;

bool comes(const SharedPacks& packs, bool alive) {
    const auto end = std::chrono::steady_clock::now() + 20s;
    while (packs.is_alive() != alive && std::chrono::steady_clock::now() < end) {
        std::this_thread::sleep_for(5ms);
    }
    return packs.is_alive() == alive;
}

} // namespace

TEST_CASE("shared packs: a fetch that hangs is not alive, one that waits for its turn is",
          "[shared]") {
    const fakes::TemporaryDirectory home;
    const fakes::SamplePack sample{100'000};
    const HostLayout host{home.path() / "host"};
    fs::create_directories(host.packs());
    fakes::write_whole(host.metainfo(sample.id), sample.metainfo);
    // A repository on a file system that does not answer: opening its pack takes for ever.
    const auto repository = home.path() / "repository";
    const auto pack = repository / layout::pack_path(sample.id);
    fs::create_directories(pack.parent_path());
    REQUIRE(::mkfifo(pack.c_str(), 0600) == 0);

    SharedPacks::Options options;
    options.seeders = {repository.string()};
    options.fetcher.patience = 100ms;
    options.silence_max = 400ms;
    SharedPacks packs(host, options);
    CHECK(packs.is_alive());
    auto hanging = std::async(std::launch::async, [&] {
        SharedPacks::Use use(packs);
        return use.fetch({{sample.id, {{0, 100'000}}}}, {});
    });
    CHECK(comes(packs, false));
    const Fd writer(::open(pack.c_str(), O_WRONLY | O_CLOEXEC)); // The file system answers.
    REQUIRE(writer.get() >= 0);
    CHECK_FALSE(hanging.get());
    CHECK(packs.is_alive());
}

} // namespace slipway::agent
