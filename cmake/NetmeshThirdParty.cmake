# Third-party libraries under one name each: netmesh::third_party::<name>.
# DESIGN: Debian's libsodium.a and libuv_a.a are not position-independent, so those two are shared.

find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)

# Makes an INTERFACE target that others link by its namespaced name.
function(netmesh_third_party name)
  add_library(netmesh_third_party_${name} INTERFACE)
  add_library(netmesh::third_party::${name} ALIAS netmesh_third_party_${name})
endfunction()

# Fails with the name of the Debian package when a header is missing.
function(netmesh_require_header variable header package)
  find_path(${variable} NAMES ${header})
  mark_as_advanced(${variable})
  if(NOT ${variable})
    message(FATAL_ERROR "${header} was not found: install ${package}")
  endif()
endfunction()

pkg_check_modules(NETMESH_SODIUM REQUIRED IMPORTED_TARGET libsodium)
netmesh_third_party(sodium)
target_link_libraries(netmesh_third_party_sodium INTERFACE PkgConfig::NETMESH_SODIUM)

# The static library is position-independent, and only its BLAKE2s objects end up in the addon.
netmesh_require_header(NETMESH_B2_INCLUDE_DIR blake2.h libb2-dev)
find_library(NETMESH_B2_LIBRARY NAMES libb2.a REQUIRED)
mark_as_advanced(NETMESH_B2_LIBRARY)
netmesh_third_party(b2)
target_include_directories(netmesh_third_party_b2 SYSTEM INTERFACE "${NETMESH_B2_INCLUDE_DIR}")
target_link_libraries(netmesh_third_party_b2 INTERFACE "${NETMESH_B2_LIBRARY}")

netmesh_require_header(NETMESH_XXHASH_INCLUDE_DIR xxhash.h libxxhash-dev)
netmesh_third_party(xxhash)
target_include_directories(netmesh_third_party_xxhash SYSTEM INTERFACE "${NETMESH_XXHASH_INCLUDE_DIR}")
target_compile_definitions(netmesh_third_party_xxhash INTERFACE XXH_INLINE_ALL)

netmesh_require_header(NETMESH_EXPECTED_INCLUDE_DIR tl/expected.hpp libexpected-dev)
netmesh_third_party(expected)
target_include_directories(netmesh_third_party_expected SYSTEM INTERFACE
    "${NETMESH_EXPECTED_INCLUDE_DIR}")

# The static library refers to nothing by absolute address, and few of its tables can be left out.
netmesh_require_header(NETMESH_UTF8PROC_INCLUDE_DIR utf8proc.h libutf8proc-dev)
find_library(NETMESH_UTF8PROC_LIBRARY NAMES libutf8proc.a REQUIRED)
mark_as_advanced(NETMESH_UTF8PROC_LIBRARY)
netmesh_third_party(utf8proc)
target_include_directories(netmesh_third_party_utf8proc SYSTEM INTERFACE
    "${NETMESH_UTF8PROC_INCLUDE_DIR}")
target_compile_definitions(netmesh_third_party_utf8proc INTERFACE UTF8PROC_STATIC)
target_link_libraries(netmesh_third_party_utf8proc INTERFACE "${NETMESH_UTF8PROC_LIBRARY}")

# Debian has it as a shared library only, which is carried beside the addon.
pkg_check_modules(NETMESH_SIMDJSON REQUIRED IMPORTED_TARGET simdjson)
netmesh_third_party(simdjson)
target_link_libraries(netmesh_third_party_simdjson INTERFACE PkgConfig::NETMESH_SIMDJSON)

# Headers only: inside Node the symbols are Node's own. A program of ours links `uv_library` as well.
netmesh_require_header(NETMESH_UV_INCLUDE_DIR uv.h libuv1-dev)
netmesh_third_party(uv)
target_include_directories(netmesh_third_party_uv SYSTEM INTERFACE "${NETMESH_UV_INCLUDE_DIR}")
find_library(NETMESH_UV_LIBRARY NAMES uv REQUIRED)
mark_as_advanced(NETMESH_UV_LIBRARY)
netmesh_third_party(uv_library)
target_link_libraries(netmesh_third_party_uv_library INTERFACE
    netmesh_third_party_uv "${NETMESH_UV_LIBRARY}")

netmesh_third_party(dl)
target_link_libraries(netmesh_third_party_dl INTERFACE ${CMAKE_DL_LIBS})

netmesh_third_party(threads)
target_link_libraries(netmesh_third_party_threads INTERFACE Threads::Threads)

if(NETMESH_TESTS)
  find_package(GTest QUIET)
  if(NOT GTest_FOUND)
    message(STATUS "GoogleTest is not installed (libgtest-dev): no C++ tests in this build")
  endif()
endif()
if(NETMESH_BENCHMARKS)
  find_package(benchmark QUIET)
  if(NOT benchmark_FOUND)
    message(STATUS
        "Google Benchmark is not installed (libbenchmark-dev): no C++ benchmarks in this build")
  endif()
endif()
