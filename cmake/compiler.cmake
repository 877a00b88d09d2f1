# Warnings, ccache and precompiled headers, in one place for all targets.
find_program(SLIPWAY_CCACHE ccache)
if(SLIPWAY_CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER
      ${CMAKE_COMMAND} -E env CCACHE_BASEDIR=${CMAKE_SOURCE_DIR} CCACHE_NOHASHDIR=1
      CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime
      ${SLIPWAY_CCACHE})
endif()

# For packages: the same bytes from any directory, and all that a loader can harden. The flags of the compiler are those of
# every build, so that its cache serves both; ccache makes paths relative as the prefix map does.
option(SLIPWAY_PACKAGE "Link programs for packages" OFF)
if(SLIPWAY_PACKAGE)
  add_link_options(-Wl,--strip-debug -Wl,-z,relro -Wl,-z,now)
  if(NOT SLIPWAY_CCACHE)
    add_compile_options(-ffile-prefix-map=${CMAKE_SOURCE_DIR}=../..)
  endif()
endif()

find_program(SLIPWAY_MOLD mold)
if(SLIPWAY_MOLD)
  add_link_options(-fuse-ld=mold)
endif()

add_compile_options(-Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion
                    -Wold-style-cast -Wnon-virtual-dtor -Woverloaded-virtual)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # ccache can then cache compilations that use a precompiled header.
  add_compile_options(-fpch-preprocess)
endif()
if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  # libstdc++ 12's own stable_sort calls a function that it marks as deprecated.
  add_compile_options(-Wno-deprecated-declarations)
endif()
include_directories(${CMAKE_SOURCE_DIR})
add_compile_definitions(SLIPWAY_VERSION="${PROJECT_VERSION}")

# slipway_library(NAME SOURCES... [LINK LIBS...]): a static library of one room.
function(slipway_library name)
  cmake_parse_arguments(ARG "" "" "LINK" ${ARGN})
  add_library(${name} STATIC ${ARG_UNPARSED_ARGUMENTS})
  target_link_libraries(${name} PUBLIC ${ARG_LINK})
endfunction()
