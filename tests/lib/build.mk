testlib-y += tests/lib/vmbus_guest.o
