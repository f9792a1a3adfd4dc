# Arrow C++ for varve. A system package (find_package CONFIG) comes first; where there is none, the
# libraries and headers inside the pyarrow wheel serve, found through
#   VARVE_PYARROW_DIR     the folder of the installed pyarrow package, or
#   build/venv            the virtual environment that `./run setup` makes.
# Both ways define the same targets, with the names of Arrow's own packages.
set(VARVE_ARROW_MIN 25.0.0)
if(NOT VARVE_PYARROW_DIR)
  find_package(Arrow ${VARVE_ARROW_MIN} CONFIG QUIET)
  if(Arrow_FOUND)
    find_package(ArrowCompute CONFIG REQUIRED)
    find_package(Parquet CONFIG REQUIRED)
    set(VarveArrow_FOUND TRUE)
    message(STATUS "Arrow ${Arrow_VERSION} from ${Arrow_DIR}")
    return()
  endif()
endif()

if(NOT VARVE_PYARROW_DIR)
  file(GLOB _venv "${CMAKE_CURRENT_LIST_DIR}/../build/venv/lib/python3*/site-packages/pyarrow")
  if(NOT _venv AND DEFINED ENV{VARVE_PYARROW_DIR})
    set(_venv "$ENV{VARVE_PYARROW_DIR}")
  endif()
  if(NOT _venv)
    find_package(Python3 COMPONENTS Interpreter QUIET)
    if(Python3_FOUND)
      set(_where "import pyarrow, os; print(os.path.dirname(pyarrow.__file__))")
      execute_process(COMMAND ${Python3_EXECUTABLE} -c "${_where}"
        OUTPUT_VARIABLE _venv OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
    endif()
  endif()
  set(VARVE_PYARROW_DIR "${_venv}" CACHE PATH "Folder of the pyarrow package" FORCE)
endif()

set(_config "${VARVE_PYARROW_DIR}/include/arrow/util/config.h")
if(EXISTS "${_config}")
  file(STRINGS "${_config}" _lines REGEX "define ARROW_VERSION_(MAJOR|MINOR|PATCH) ")
  string(REGEX REPLACE "[^0-9;]" "" _numbers "${_lines}")
  list(GET _numbers 0 _major)
  list(GET _numbers 1 _minor)
  list(GET _numbers 2 _patch)
  set(VarveArrow_VERSION "${_major}.${_minor}.${_patch}")
  math(EXPR _so "${_major} * 100 + ${_minor}")
endif()
include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(VarveArrow REQUIRED_VARS VARVE_PYARROW_DIR VarveArrow_VERSION
  REASON_FAILURE_MESSAGE "no Arrow C++ ${VARVE_ARROW_MIN} or newer: set \
VARVE_PYARROW_DIR to the folder of an installed pyarrow, or Arrow_DIR to a system package (in a \
clone of varve, ./run setup installs one)")
if(NOT VarveArrow_FOUND)
  return()
endif()
if(VarveArrow_VERSION VERSION_LESS VARVE_ARROW_MIN)
  message(FATAL_ERROR "pyarrow ${VarveArrow_VERSION} is too old: varve needs ${VARVE_ARROW_MIN}")
endif()

function(_varve_arrow_target name library)
  if(TARGET ${name})
    return()
  endif()
  add_library(${name} SHARED IMPORTED GLOBAL)
  set_target_properties(${name} PROPERTIES
    IMPORTED_LOCATION "${VARVE_PYARROW_DIR}/${library}.so.${_so}"
    IMPORTED_SONAME "${library}.so.${_so}"
    INTERFACE_INCLUDE_DIRECTORIES "${VARVE_PYARROW_DIR}/include"
    INTERFACE_COMPILE_FEATURES cxx_std_20
    INTERFACE_LINK_LIBRARIES "${ARGN}")
endfunction()
_varve_arrow_target(Arrow::arrow_shared libarrow)
_varve_arrow_target(ArrowCompute::arrow_compute_shared libarrow_compute Arrow::arrow_shared)
_varve_arrow_target(Parquet::parquet_shared libparquet Arrow::arrow_shared)
