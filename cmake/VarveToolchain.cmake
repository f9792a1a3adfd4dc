# Compiler settings that every target of this project shares, and the two tools that make a
# rebuild quick: ccache and mold. Both are used when present and never required.
if(PROJECT_IS_TOP_LEVEL)
  find_program(VARVE_CCACHE ccache)
  if(VARVE_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
    set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env
        CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime
        CCACHE_BASEDIR=${PROJECT_SOURCE_DIR} ${VARVE_CCACHE})
  endif()
  find_program(VARVE_MOLD mold)
  if(VARVE_MOLD)
    add_link_options(-fuse-ld=mold)
  endif()
endif()

add_library(varve_warnings INTERFACE)
target_compile_options(varve_warnings INTERFACE -Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor
  -Woverloaded-virtual -Wno-missing-field-initializers -fno-strict-overflow
  -fvisibility-inlines-hidden $<$<CXX_COMPILER_ID:GNU>:-fpch-preprocess>)
if(VARVE_SANITIZE)
  add_compile_options(-fsanitize=${VARVE_SANITIZE} -fno-omit-frame-pointer
    -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${VARVE_SANITIZE})
endif()
