# Every library comes from Debian; packaging/deps is the list.
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
find_package(OpenSSL 3 REQUIRED)
find_package(nlohmann_json 3.11 REQUIRED)
find_package(spdlog REQUIRED)
find_package(CLI11 REQUIRED)
pkg_check_modules(zstd REQUIRED IMPORTED_TARGET libzstd)
pkg_check_modules(curl REQUIRED IMPORTED_TARGET libcurl)
pkg_check_modules(systemd REQUIRED IMPORTED_TARGET libsystemd)
pkg_check_modules(torrent REQUIRED IMPORTED_TARGET libtorrent-rasterbar)

# Asserts on in every build type: a broken invariant ends the process, the disk stays valid.
add_library(slipway_json INTERFACE)
target_link_libraries(slipway_json INTERFACE nlohmann_json::nlohmann_json)

# libtorrent's headers and Boost's do not pass our warnings: take them as system headers.
add_library(slipway_torrent INTERFACE)
target_include_directories(slipway_torrent SYSTEM INTERFACE ${torrent_INCLUDE_DIRS})
target_compile_options(slipway_torrent INTERFACE ${torrent_CFLAGS_OTHER})
target_link_libraries(slipway_torrent INTERFACE PkgConfig::torrent)

# SOCI (database client): libraries without a pkg-config file or a CMake package in Debian.
find_library(soci_core soci_core REQUIRED)
find_library(soci_sqlite3 soci_sqlite3 REQUIRED)
find_library(soci_postgresql soci_postgresql REQUIRED)
find_path(postgresql_include libpq-fe.h PATH_SUFFIXES postgresql REQUIRED)
add_library(slipway_soci INTERFACE)
target_include_directories(slipway_soci SYSTEM INTERFACE ${postgresql_include})
target_link_libraries(slipway_soci INTERFACE ${soci_sqlite3} ${soci_postgresql} ${soci_core})
