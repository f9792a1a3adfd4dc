# Install rules and the package files that let another project say find_package(varve).
# Two export sets, because varve::log must be usable where there is no Arrow.
include(CMakePackageConfigHelpers)
set(_config_dir ${CMAKE_INSTALL_LIBDIR}/cmake/varve)

function(_varve_install target set)
  install(TARGETS ${target} EXPORT ${set} ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}
    LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
  install(EXPORT ${set} NAMESPACE varve:: DESTINATION ${_config_dir})
endfunction()

_varve_install(varve_log varveLogTargets)
if(TARGET varve)
  _varve_install(varve varveTargets)
endif()
if(TARGET varve_cli)
  install(TARGETS varve_cli RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endif()
install(DIRECTORY include/varve DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(FILES include/varve_log.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
if(TARGET varve)
  install(FILES include/varve_db.h include/varve_db_arrow.h include/varve_db_report.h
    include/varve_db_versions.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
endif()
configure_package_config_file(cmake/varveConfig.cmake.in ${PROJECT_BINARY_DIR}/varveConfig.cmake
  INSTALL_DESTINATION ${_config_dir})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/varveConfigVersion.cmake
  COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/varveConfig.cmake
  ${PROJECT_BINARY_DIR}/varveConfigVersion.cmake cmake/FindISAL.cmake cmake/FindLz4.cmake
  cmake/FindVarveArrow.cmake cmake/FindZstd.cmake
  DESTINATION ${_config_dir})
