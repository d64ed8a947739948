/* The static multi-call program: one file per applet, each declared here. */
#ifndef CORTEN_H
#define CORTEN_H

int front_main(int argc, char **argv, const char *program);

#endif
