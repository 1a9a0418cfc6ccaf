# SPDX-License-Identifier: MIT
# Usage: cmake -DMANIFEST=FILE -P uninstall.cmake
#
# Removes the files that cmake --install has listed in MANIFEST, and the folders of the project's own that are empty then.
# DESTDIR stands in front of all of them, as in an installation.
if(NOT EXISTS ${MANIFEST})
  message(FATAL_ERROR "Nothing was installed from here: there is no ${MANIFEST}")
endif()
file(STRINGS ${MANIFEST} files)
foreach(file IN LISTS files)
  set(file $ENV{DESTDIR}${file})
  message(STATUS "Removing ${file}")
  file(REMOVE ${file})
  get_filename_component(folder ${file} DIRECTORY)
  while(folder MATCHES "/lua-websockets(/|$)")
    file(GLOB left LIST_DIRECTORIES true ${folder}/* ${folder}/.*)
    if(left)
      break()
    endif()
    file(REMOVE_RECURSE ${folder})
    get_filename_component(folder ${folder} DIRECTORY)
  endwhile()
endforeach()
file(REMOVE ${MANIFEST})
