# varve_room(name SOURCES a.cc ... TESTS a_test.cc ... [LINKS target ...] [ARROW])
#   One folder of src/: an object library varve_room_<name>, and with VARVE_BUILD_TESTS one test
#   program test_<name> from the tests that stand beside the sources.
# varve_library(target exported ROOMS ...)
#   The installed library varve::<exported>, made of the objects of the rooms.

# With VARVE_UNITY several files of a target are compiled as one: what all of them include and
# instantiate is then paid for once. Not in base, files and log, whose files the planted bugs of
# every ./run test take one at a time.
option(VARVE_UNITY "Compile several files as one: quick from nothing, slow after an edit" OFF)

function(varve_compile_settings target)
  set_target_properties(${target} PROPERTIES UNITY_BUILD ${VARVE_UNITY} UNITY_BUILD_BATCH_SIZE 8)
  if(VARVE_UNITY)  # of which it believes that a header defines what a file does
    target_compile_options(${target} PRIVATE -Wno-subobject-linkage)
  endif()
  target_link_libraries(${target} PRIVATE $<BUILD_INTERFACE:varve_warnings>)
  target_include_directories(${target} PRIVATE ${PROJECT_SOURCE_DIR}/src
    ${PROJECT_SOURCE_DIR}/include)
endfunction()

# Two precompiled headers for all targets: one with Arrow, whose parsing costs 4 s a file,
# and one without.
function(varve_precompiled target kind)
  set(pch varve_pch_${kind})
  if(NOT TARGET ${pch})
    file(WRITE ${PROJECT_BINARY_DIR}/${pch}.cc "// carries the precompiled header\n")
    add_library(${pch} OBJECT ${PROJECT_BINARY_DIR}/${pch}.cc)
    varve_compile_settings(${pch})
    target_link_libraries(${pch} PRIVATE fmt::fmt)
    if(kind STREQUAL arrow)
      target_link_libraries(${pch} PRIVATE Arrow::arrow_shared)
    endif()
    target_precompile_headers(${pch} PRIVATE ${PROJECT_SOURCE_DIR}/cmake/${kind}_pch.h)
  endif()
  target_precompile_headers(${target} REUSE_FROM ${pch})
endfunction()

function(varve_arrow_settings target)
  target_link_libraries(${target} PRIVATE Arrow::arrow_shared ArrowCompute::arrow_compute_shared
    Parquet::parquet_shared)
  varve_precompiled(${target} arrow)
endfunction()

function(varve_room name)
  cmake_parse_arguments(R "ARROW" "" "SOURCES;TESTS;LINKS" ${ARGN})
  if(NOT R_SOURCES)
    return()
  endif()
  set(target varve_room_${name})
  add_library(${target} OBJECT ${R_SOURCES})
  varve_compile_settings(${target})
  target_link_libraries(${target} PRIVATE ISAL::isal fmt::fmt
    $<TARGET_NAME_IF_EXISTS:nlohmann_json::nlohmann_json> Threads::Threads ${R_LINKS})
  if(R_ARROW)
    varve_arrow_settings(${target})
  else()
    set_target_properties(${target} PROPERTIES UNITY_BUILD OFF)
    varve_precompiled(${target} plain)
  endif()
  if(VARVE_BUILD_TESTS AND R_TESTS)
    if(R_ARROW)
      varve_test(test_${name} ARROW SOURCES ${R_TESTS})
    else()
      varve_test(test_${name} SOURCES ${R_TESTS})
    endif()
  endif()
endfunction()

function(varve_library target exported)
  cmake_parse_arguments(L "" "" "ROOMS" ${ARGN})
  set(objects)
  foreach(room ${L_ROOMS})
    if(TARGET varve_room_${room})
      list(APPEND objects $<TARGET_OBJECTS:varve_room_${room}>)
    endif()
  endforeach()
  if(NOT objects)
    file(WRITE ${PROJECT_BINARY_DIR}/${target}_empty.cc "")
    set(objects ${PROJECT_BINARY_DIR}/${target}_empty.cc)
  endif()
  add_library(${target} ${objects})
  add_library(varve::${exported} ALIAS ${target})
  set_target_properties(${target} PROPERTIES EXPORT_NAME ${exported} LINKER_LANGUAGE CXX
    VERSION ${PROJECT_VERSION} SOVERSION ${PROJECT_VERSION_MAJOR})
  target_compile_features(${target} PUBLIC cxx_std_23)
  target_include_directories(${target} PUBLIC $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>
    $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
endfunction()

# varve_test(name SOURCES ... [ARROW] [LIBS ...]): a GoogleTest program that may look inside rooms.
function(varve_test name)
  cmake_parse_arguments(T "ARROW" "" "SOURCES;LIBS" ${ARGN})
  add_executable(${name} ${T_SOURCES})
  varve_compile_settings(${name})
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR})  # for test/support
  # As the libraries are compiled (-fPIC, not -fPIE), or the precompiled header does not fit.
  set_target_properties(${name} PROPERTIES POSITION_INDEPENDENT_CODE OFF)
  target_compile_options(${name} PRIVATE -fPIC $<$<CONFIG:Release>:-O1>)  # quicker to compile
  target_link_libraries(${name} PRIVATE ${T_LIBS} GTest::gtest_main fmt::fmt
    $<TARGET_NAME_IF_EXISTS:nlohmann_json::nlohmann_json> ISAL::isal Threads::Threads)
  if(T_ARROW)
    varve_arrow_settings(${name})
    target_link_libraries(${name} PRIVATE varve)
  else()
    varve_precompiled(${name} plain)
    target_link_libraries(${name} PRIVATE varve_log)
  endif()
  add_test(NAME ${name} COMMAND ${name})
  set_property(GLOBAL APPEND PROPERTY VARVE_TESTS ${name})
endfunction()

# Writes tests.txt, the GoogleTest programs for tools/run_tests.py, one a line.
function(varve_list_tests)
  get_property(tests GLOBAL PROPERTY VARVE_TESTS)
  set(lines)
  foreach(test ${tests})
    string(APPEND lines "$<TARGET_FILE:${test}>\n")
  endforeach()
  file(GENERATE OUTPUT ${PROJECT_BINARY_DIR}/tests.txt CONTENT "${lines}")
endfunction()
