/* Dispatch: the name it is called by, or its first argument, chooses the applet.
 *
 *   corten, corten-runtime      the command lines (front.c)
 *   corten @APPLET ...          internal applets; '@' keeps them apart from commands
 */
#include "corten.h"
#include <stdio.h>
#include <string.h>

struct applet {
    const char *name;
    int (*main)(int argc, char **argv);
};

static const struct applet applets[] = {
    {"@launch", launch_main},
    {"@init", init_main},
    {"@netns", netns_main},
    {"@monitor", monitor_main},
    {"@untar", untar_main},
    {0, 0},
};

int main(int argc, char **argv)
{
    if (argc > 1 && argv[1][0] == '@') {
        for (const struct applet *a = applets; a->name; a++)
            if (strcmp(a->name, argv[1]) == 0)
                return a->main(argc - 1, argv + 1);
        fprintf(stderr, "corten: no applet %s\n", argv[1]);
        return 125;
    }
    const char *slash = argc > 0 ? strrchr(argv[0], '/') : 0;
    const char *name = slash ? slash + 1 : argc > 0 ? argv[0] : "corten";
    return front_main(argc, argv, strcmp(name, "corten-runtime") == 0 ? "corten-runtime" : "corten");
}
