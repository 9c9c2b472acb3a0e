# Compiler settings shared by everything that is built here.

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_CXX_VISIBILITY_PRESET hidden)
set(CMAKE_VISIBILITY_INLINES_HIDDEN ON)

# Line tables only: enough for a backtrace, and stripped from what is shipped.
set(CMAKE_CXX_FLAGS_RELEASE "-O3 -g1 -DNDEBUG")
set(CMAKE_CXX_FLAGS_DEBUG "-O0 -g")
set(CMAKE_CXX_FLAGS_SANITIZE "-O1 -g1 -fno-omit-frame-pointer")

find_program(NETMESH_CCACHE ccache)
mark_as_advanced(NETMESH_CCACHE)
if(NETMESH_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  # Paths are hashed as relative to the checkout: a second clone finds what the first has compiled.
  set(CMAKE_CXX_COMPILER_LAUNCHER
      "${CMAKE_COMMAND}" -E env "CCACHE_BASEDIR=${CMAKE_SOURCE_DIR}" CCACHE_NOHASHDIR=1 "${NETMESH_CCACHE}")
endif()

# Flags for our own code, and only for it.
add_library(netmesh_options INTERFACE)
add_library(netmesh::options ALIAS netmesh_options)
target_compile_options(netmesh_options INTERFACE
    -Wall -Wextra -Wconversion -Wshadow
    -ffunction-sections -fdata-sections
    # No machine's path in a binary: builds in two places give the same bytes.
    "-ffile-prefix-map=${CMAKE_SOURCE_DIR}/=")
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  target_compile_options(netmesh_options INTERFACE -Werror)
  if(CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
    # GCC 12 reports its own std::string operator+ (GCC bug 105651).
    target_compile_options(netmesh_options INTERFACE -Wno-restrict)
  endif()
else()
  # Clang, used for fuzzing, puts sign conversions into -Wconversion; GCC does not, and GCC's set is ours.
  target_compile_options(netmesh_options INTERFACE -Wno-sign-conversion)
endif()
target_link_options(netmesh_options INTERFACE -Wl,--gc-sections -Wl,-z,now -Wl,-z,relro)

if(NETMESH_ASSERTS)
  target_compile_definitions(netmesh_options INTERFACE NETMESH_ASSERTS=1)
endif()

if(NETMESH_SANITIZE)
  target_compile_options(netmesh_options INTERFACE
      -fsanitize=${NETMESH_SANITIZE} -fno-sanitize-recover=all)
  string(REPLACE ",fuzzer-no-link" "" link_sanitizers "${NETMESH_SANITIZE}")
  target_link_options(netmesh_options INTERFACE -fsanitize=${link_sanitizers})
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    # GCC documents that instrumentation makes these two report what is not there.
    target_compile_options(netmesh_options INTERFACE
        -Wno-maybe-uninitialized -Wno-stringop-overflow)
  endif()
endif()
