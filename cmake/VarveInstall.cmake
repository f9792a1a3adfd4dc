# Install rules and the package files that let another project say find_package(varve).
include(CMakePackageConfigHelpers)
set(_config_dir ${CMAKE_INSTALL_LIBDIR}/cmake/varve)
set(_targets varve_log)
if(VARVE_BUILD_DATABASE)
  list(APPEND _targets varve)
endif()
install(TARGETS ${_targets} EXPORT varveTargets
  ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(EXPORT varveTargets NAMESPACE varve:: DESTINATION ${_config_dir})
install(DIRECTORY include/varve DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
configure_package_config_file(cmake/varveConfig.cmake.in ${PROJECT_BINARY_DIR}/varveConfig.cmake
  INSTALL_DESTINATION ${_config_dir})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/varveConfigVersion.cmake
  COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/varveConfig.cmake ${PROJECT_BINARY_DIR}/varveConfigVersion.cmake
  cmake/FindISAL.cmake cmake/FindVarveArrow.cmake DESTINATION ${_config_dir})
if(TARGET varve_cli)
  install(TARGETS varve_cli RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endif()
