# One static library per folder of native/, and the programs that are built beside it.
#
#   netmesh_library(NAME <folder> [SOURCES ...] [PUBLIC <deps>] [PRIVATE <deps>])
#   netmesh_test(NAME <name> [SOURCES ...] [LINK <deps>])
#   netmesh_benchmark(NAME <name> [SOURCES ...] [LINK <deps>])
#   netmesh_program(NAME <name> SOURCES ... [LINK <deps>])
#   netmesh_fuzzer(NAME <name> SOURCES ... [LINK <deps>])
#
# A dependency is the bare name of a folder (`base`) or of a third-party library (`sodium`).
# Without SOURCES the files are found by name, in the folder that calls:
#   *_test.cc *_testing.cc   tests and their helpers    *_bench.cc   benchmarks
#   *_main.cc                programs                   *.cc         everything else: the library
#
# Direction of dependencies: code includes "<folder>/<file>.h", and a library's include directory holds
# nothing but a link to its own folder. What a target does not link, it cannot include.

# Tests of code that runs on several threads.
set(NETMESH_THREADED_TESTS
    base_tests runtime_tests bus_tests redex_tests cortex_tests placement_tests identity_tests)

set(NETMESH_THIRD_PARTY_NAMES sodium b2 xxhash expected utf8proc simdjson uv uv_library threads dl)

# Turns bare names into targets. Fails at generation when one does not exist.
function(netmesh_resolve result)
  set(targets)
  foreach(name IN LISTS ARGN)
    if(name IN_LIST NETMESH_THIRD_PARTY_NAMES)
      list(APPEND targets netmesh::third_party::${name})
    else()
      list(APPEND targets netmesh::${name})
    endif()
  endforeach()
  set(${result} "${targets}" PARENT_SCOPE)
endfunction()

# Finds the sources that `pattern` names and none of the patterns after it.
function(netmesh_glob result pattern)
  file(GLOB sources CONFIGURE_DEPENDS "${CMAKE_CURRENT_SOURCE_DIR}/${pattern}")
  foreach(excluded IN LISTS ARGN)
    list(FILTER sources EXCLUDE REGEX "_${excluded}\\.cc$")
  endforeach()
  set(${result} "${sources}" PARENT_SCOPE)
endfunction()

function(netmesh_library)
  cmake_parse_arguments(PARSE_ARGV 0 arg "" "NAME" "SOURCES;PUBLIC;PRIVATE")
  set(target netmesh_${arg_NAME})
  if(NOT arg_SOURCES)
    netmesh_glob(arg_SOURCES "*.cc" test testing bench main)
  endif()
  netmesh_resolve(public ${arg_PUBLIC})
  netmesh_resolve(private ${arg_PRIVATE})

  set(include_dir "${CMAKE_BINARY_DIR}/include/${arg_NAME}")
  file(MAKE_DIRECTORY "${include_dir}")
  file(CREATE_LINK "${CMAKE_CURRENT_SOURCE_DIR}" "${include_dir}/${arg_NAME}" SYMBOLIC)
  # In messages and debug information a header goes by its name in the repository.
  set(header_map "-ffile-prefix-map=${include_dir}/=native/")

  if(arg_SOURCES)
    add_library(${target} STATIC ${arg_SOURCES})
    target_include_directories(${target} PUBLIC "${include_dir}")
    target_compile_options(${target} PUBLIC "${header_map}")
    target_link_libraries(${target} PUBLIC ${public} PRIVATE ${private} netmesh::options)
  else()
    # Headers only, so far.
    add_library(${target} INTERFACE)
    target_include_directories(${target} INTERFACE "${include_dir}")
    target_compile_options(${target} INTERFACE "${header_map}")
    target_link_libraries(${target} INTERFACE ${public})
  endif()
  add_library(netmesh::${arg_NAME} ALIAS ${target})
  # Built when something needs it.
  set_target_properties(${target} PROPERTIES EXCLUDE_FROM_ALL TRUE)

  # Code that lives beside the library sees what the library sees.
  set_property(DIRECTORY PROPERTY NETMESH_BESIDE netmesh::${arg_NAME} ${public} ${private})

  netmesh_glob(mains "*_main.cc")
  foreach(main IN LISTS mains)
    get_filename_component(name "${main}" NAME_WE)
    string(REGEX REPLACE "_main$" "" name "${name}")
    netmesh_program(NAME ${name} SOURCES "${main}")
  endforeach()
endfunction()

# Shared by every kind of program; sources and dependencies are given by the caller.
function(netmesh_add_program target output_dir sources link)
  get_property(beside DIRECTORY PROPERTY NETMESH_BESIDE)
  netmesh_resolve(link ${link})
  add_executable(${target} ${sources})
  target_link_libraries(${target} PRIVATE ${beside} ${link} netmesh::options)
  # Test data, wherever a program is started from.
  target_compile_definitions(${target} PRIVATE NETMESH_SOURCE_DIR="${CMAKE_SOURCE_DIR}")
  set_target_properties(${target} PROPERTIES
      RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/${output_dir}")
endfunction()

function(netmesh_program)
  cmake_parse_arguments(PARSE_ARGV 0 arg "" "NAME" "SOURCES;LINK")
  if(NETMESH_SANITIZE)
    return()
  endif()
  # A program has no Node around it to bring libuv.
  netmesh_add_program(${arg_NAME} bin "${arg_SOURCES}" "${arg_LINK};uv_library")
endfunction()

function(netmesh_test)
  cmake_parse_arguments(PARSE_ARGV 0 arg "" "NAME" "SOURCES;LINK")
  if(NOT arg_SOURCES)
    netmesh_glob(arg_SOURCES "*_test.cc")
    netmesh_glob(helpers "*_testing.cc")
    if(arg_SOURCES)
      list(APPEND arg_SOURCES ${helpers})
    endif()
  endif()
  if(NOT arg_SOURCES OR NOT NETMESH_TESTS OR NOT GTest_FOUND)
    return()
  endif()
  # ThreadSanitizer has nothing to find where there is one thread.
  if(NETMESH_SANITIZE STREQUAL "thread" AND NOT arg_NAME IN_LIST NETMESH_THREADED_TESTS)
    return()
  endif()
  netmesh_add_program(${arg_NAME} tests "${arg_SOURCES}" "${arg_LINK};uv_library")
  target_link_libraries(${arg_NAME} PRIVATE GTest::gtest GTest::gtest_main)
  # `if (x) ASSERT_TRUE(y);` is fine: GoogleTest's macros guard against the else that GCC suspects.
  target_compile_options(${arg_NAME} PRIVATE -Wno-dangling-else)
  add_test(NAME ${arg_NAME} COMMAND ${arg_NAME})
  set_property(GLOBAL APPEND PROPERTY NETMESH_TEST_NAMES ${arg_NAME})
endfunction()

function(netmesh_benchmark)
  cmake_parse_arguments(PARSE_ARGV 0 arg "" "NAME" "SOURCES;LINK")
  if(NOT arg_SOURCES)
    netmesh_glob(arg_SOURCES "*_bench.cc")
  endif()
  if(NOT arg_SOURCES OR NOT NETMESH_BENCHMARKS OR NOT benchmark_FOUND)
    return()
  endif()
  netmesh_add_program(${arg_NAME} benchmarks "${arg_SOURCES}" "${arg_LINK};uv_library")
  target_link_libraries(${arg_NAME} PRIVATE benchmark::benchmark benchmark::benchmark_main)
  set_property(GLOBAL APPEND PROPERTY NETMESH_BENCHMARK_NAMES ${arg_NAME})
endfunction()

function(netmesh_fuzzer)
  cmake_parse_arguments(PARSE_ARGV 0 arg "" "NAME" "SOURCES;LINK")
  if(NOT NETMESH_FUZZ)
    return()
  endif()
  netmesh_add_program(${arg_NAME} fuzzers "${arg_SOURCES}" "${arg_LINK};uv_library")
  target_link_options(${arg_NAME} PRIVATE -fsanitize=fuzzer)
  set_property(GLOBAL APPEND PROPERTY NETMESH_FUZZER_NAMES ${arg_NAME})
endfunction()

# Tells the scripts what this build holds: build/<preset>/manifest.json.
function(netmesh_write_manifest)
  set(json "{}")
  foreach(kind tests benchmarks fuzzers)
    string(TOUPPER "${kind}" property)
    string(REGEX REPLACE "S$" "" property "${property}")
    get_property(names GLOBAL PROPERTY NETMESH_${property}_NAMES)
    list(TRANSFORM names REPLACE "(.+)" "\"\\1\"")
    list(JOIN names ", " names)
    string(JSON json SET "${json}" ${kind} "[${names}]")
  endforeach()
  file(CONFIGURE OUTPUT "${CMAKE_BINARY_DIR}/manifest.json" CONTENT "${json}\n" @ONLY)
endfunction()
