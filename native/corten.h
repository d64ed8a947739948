/* The static multi-call program: one file per applet, each declared here. */
#ifndef CORTEN_H
#define CORTEN_H

int front_main(int argc, char **argv, const char *program);
int launch_main(int argc, char **argv);
int init_main(int argc, char **argv);
int netns_main(int argc, char **argv);
int monitor_main(int argc, char **argv);
int untar_main(int argc, char **argv);

#endif
