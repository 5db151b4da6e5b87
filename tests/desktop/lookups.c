/* Preloaded into the window's processes: writes each host name that one of them looks up into the file LOOKUPS. A name
   below .invalid is not asked for, because nobody has it. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef int (*lookup)(const char *, const char *, const struct addrinfo *, struct addrinfo **);

static int is_nobodys(const char *name) {
    const char *end = strrchr(name, '.');
    return end != NULL && strcmp(end, ".invalid") == 0;
}

int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints, struct addrinfo **found) {
    const char *file = getenv("LOOKUPS");
    if (name != NULL && file != NULL) {
        int to = open(file, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
        if (to >= 0) {
            dprintf(to, "%s\n", name);
            close(to);
        }
        if (is_nobodys(name)) {
            return EAI_NONAME;
        }
    }
    return ((lookup)dlsym(RTLD_NEXT, "getaddrinfo"))(name, service, hints, found);
}
