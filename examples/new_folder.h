/* SPDX-License-Identifier: Apache-2.0
 * The one argument of the examples, in C and in C++: a folder in which nothing is yet. */
#ifndef VARVE_EXAMPLES_NEW_FOLDER_H
#define VARVE_EXAMPLES_NEW_FOLDER_H

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Ends the program with 2 when the argument is missing, or the folder holds something. */
static inline const char* NewFolder(int argc, char** argv) {
  const char* const slash = argc > 0 ? strrchr(argv[0], '/') : NULL;
  DIR* folder = NULL;
  int entries = 0;
  if (argc != 2) {
    fprintf(stderr, "usage: %s FOLDER\n", slash != NULL ? slash + 1 : argc > 0 ? argv[0] : "");
    exit(2);
  }
  folder = opendir(argv[1]);
  while (folder != NULL && readdir(folder) != NULL) ++entries;
  if (folder != NULL) closedir(folder);
  if (entries > 2) { /* "." and ".." */
    fprintf(stderr, "%s is not empty: give a new folder, or delete it first\n", argv[1]);
    exit(2);
  }
  return argv[1];
}

#endif
