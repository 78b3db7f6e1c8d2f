# SPDX-License-Identifier: Apache-2.0
#
# One non-recursive makefile. Each folder's build.mk adds to these lists,
# with paths from the root of the sources:
#
#   core-y       objects of the program (core/, hwaccel/, ui/)
#   generated-y  headers that must exist before anything is compiled
#   plugins-y    legacy/i8254 makes plugins/legacy/i8254.so, from the objects
#                in legacy/i8254-objs or else from plugins/legacy/i8254.o
#   firmware-y   linuxboot makes firmware/linuxboot.bin, see firmware/build.mk
#   testlib-y    objects of the test harness
#   unit-tests-y dev-tests-y cpu-tests-y    x is the program tests/unit/x.c ...
#                they link with the objects in unit/x-objs and with unit/x-libs
#   script-tests-y long-tests-y  guest/x is tests/guest/x.sh or x.py
#   bench-y      x is tests/bench/x.c, x.sh or x.py
#
# Use core-$(CONFIG_SDL) and the like for what hangs on a configure feature.

S := $(patsubst %/,%,$(dir $(lastword $(MAKEFILE_LIST))))
B ?= build
MAKEFLAGS += -rR --no-print-directory
.SUFFIXES:
.DELETE_ON_ERROR:
.SECONDARY:
.DEFAULT_GOAL := all

ifneq ($(filter help clean distclean,$(or $(MAKECMDGOALS),all)),)
-include $(B)/config.mak
else ifeq ($(wildcard $(B)/config.mak),)
$(error Not configured: run ./configure first (./configure --help for more))
else
include $(B)/config.mak
$(B)/config.mak: $(S)/configure
	@$(B)/config.status
endif

# --- how things are made ---------------------------------------------------

V ?= 0
say-0 = @printf '  %-8s %s\n' $(1) '$(patsubst $(B)/%,%,$@)';
say = $(say-$(V))

LIBS_CFLAGS = $(GLIB_CFLAGS) $(PIXMAN_CFLAGS) $(JSON_CFLAGS) $(PNG_CFLAGS) \
	$(SDL_CFLAGS) $(SLIRP_CFLAGS)
LIBS = $(SDL_LIBS) $(SLIRP_LIBS) $(PNG_LIBS) $(JSON_LIBS) $(PIXMAN_LIBS) $(GLIB_LIBS) \
	-ldl -lrt -lm
# Paths in debug data and messages are the repository's, on every machine.
PREFIX_MAP = -ffile-prefix-map=$(S)/=
CPPFLAGS = -D_GNU_SOURCE -I$(S)/include -I$(S)/core -I$(S) -I$(B) \
	-I$(B)/core -I$(S)/plugins $(LIBS_CFLAGS)
# A plugin sees what a stranger's would: the public headers and its folder.
PLUGIN_CPPFLAGS = -D_GNU_SOURCE -I$(S)/include -I$(S)/plugins \
	-I$(S)/plugins/legacy -I$(S)/plugins/synthetic -fPIC
CFLAGS = $(BASE_CFLAGS) $(PREFIX_MAP)
HOST_CFLAGS = -std=gnu17 -O2 -g -Wall -Wextra -fno-strict-aliasing \
	-fwrapv -D_GNU_SOURCE -I$(S)/include -I$(S)/core -I$(S)
DEPFLAGS = -MMD -MP
ONCE = $(WERROR) $(DEPFLAGS) -c

core-y :=
# Nothing that links in here is visible to plugins: they get tables.
core-ldflags := -Wl,--exclude-libs,ALL
kinds := unit dev cpu
include $(wildcard $(S)/core/build.mk $(foreach \
	d,hwaccel ui plugins firmware tests,$(S)/$d/build.mk $(S)/$d/*/build.mk))

core-objs := $(sort $(core-y:%=$(B)/%))
plugin-objs-of = $(addprefix $(B)/,$(or $($(1)-objs),plugins/$(1).o))
plugin-objs := $(sort $(foreach p,$(plugins-y),$(call plugin-objs-of,$(p))))
test-names := $(foreach k,$(kinds),$($(k)-tests-y:%=$(k)/%))
bench-names := $(patsubst %.c,%,$(notdir \
	$(wildcard $(bench-y:%=$(S)/tests/bench/%.c))))
program-names := $(test-names) $(bench-names:%=bench/%)
program-objs := $(foreach t,$(program-names),$(B)/tests/$(t).o \
	$(addprefix $(B)/,$($(t)-objs)))
objs := $(core-objs) $(plugin-objs) $(testlib-y:%=$(B)/%) $(program-objs)

program := $(if $(filter core/main.o,$(core-y)),$(B)/backplane)
plugins := $(plugins-y:%=$(B)/plugins/%.so)
firmware := $(firmware-y:%=$(B)/firmware/%.bin)
generated := $(generated-y:%=$(B)/%)
tests := $(program-names:%=$(B)/tests/%)

all: $(B)/libcore.a $(program) $(plugins) $(firmware) ## build everything

$(B)/%.o: $(S)/%.c $(B)/.flags | $(generated)
	@mkdir -p $(@D)
	$(call say,CC)$(CC) $(CPPFLAGS) $(CFLAGS) $(ONCE) -o $@ $<
$(B)/%.o: $(B)/%.c $(B)/.flags | $(generated)
	$(call say,CC)$(CC) $(CPPFLAGS) $(CFLAGS) $(ONCE) -o $@ $<
$(B)/%.o: $(S)/%.S $(B)/.flags | $(generated)
	@mkdir -p $(@D)
	$(call say,AS)$(CC) $(CPPFLAGS) $(CFLAGS) $(ONCE) -o $@ $<
$(B)/%.o: $(B)/%.S $(B)/.flags | $(generated)
	$(call say,AS)$(CC) $(CPPFLAGS) $(CFLAGS) $(ONCE) -o $@ $<
$(B)/plugins/%.o: $(S)/plugins/%.c $(B)/.flags
	@mkdir -p $(@D)
	$(call say,CC)$(CC) $(PLUGIN_CPPFLAGS) $(CFLAGS) $(ONCE) -o $@ $<

# Build-time programs. What they write is made by rules in build.mk files.
$(B)/tools/%: $(S)/tools/%.c $(B)/.flags
	@mkdir -p $(@D)
	$(call say,HOSTCC)$(HOST_CC) $(HOST_CFLAGS) $(DEPFLAGS) -o $@ $<

$(B)/libcore.a: $(filter-out %/core/main.o,$(core-objs))
	@rm -f $@
	$(call say,AR)$(AR) rcD $@ $^
$(B)/backplane: $(filter %/core/main.o,$(core-objs)) $(B)/libcore.a
	$(call say,LINK)$(CC) $(CFLAGS) $(BASE_LDFLAGS) $(core-ldflags) \
		-o $@ $^ $(LIBS)

define plugin-rule
$(B)/plugins/$(1).so: $(call plugin-objs-of,$(1)) $(S)/plugins/plugin.map
	$$(call say,PLUGIN)$$(CC) -shared $$(CFLAGS) $$(BASE_LDFLAGS) \
		$$(PLUGIN_LDFLAGS) -Wl,--version-script=$(S)/plugins/plugin.map \
		-o $$@ $$(filter %.o,$$^) $$($(1)-libs)
endef
$(foreach p,$(plugins-y),$(eval $(call plugin-rule,$(p))))

# A file that changes only when the flags do; all objects hang on it.
$(B)/.flags: force
	@mkdir -p $(@D)
	@printf '%s\n' '$(CC) $(HOST_CC) $(CPPFLAGS) $(CFLAGS) $(BASE_LDFLAGS)' \
		>$@.$$$$; cmp -s $@.$$$$ $@ && rm $@.$$$$ || mv $@.$$$$ $@

# --- tests -----------------------------------------------------------------

$(B)/tests/lib/libtest.a: $(testlib-y:%=$(B)/%)
	@rm -f $@
	$(call say,AR)$(AR) rcD $@ $^
define test-rule
$(B)/tests/$(1): $(B)/tests/$(1).o $(addprefix $(B)/,$($(1)-objs)) \
		$(B)/tests/lib/libtest.a $(B)/libcore.a
	$$(call say,LINK)$$(CC) $$(CFLAGS) $$(BASE_LDFLAGS) -o $$@ $$^ \
		$$($(1)-libs) $$(LIBS)
endef
$(foreach t,$(program-names),$(eval $(call test-rule,$(t))))

run = S='$(abspath $(S))' B='$(abspath $(B))' CC='$(CC)' $(S)/tests/run
check-names := $(test-names) $(script-tests-y)
logs = $(patsubst %,$(B)/tests/%.log,$(1))
$(call logs,$(check-names) $(long-tests-y)): $(B)/tests/%.log: all force
	@mkdir -p $(@D)
	@$(run) one $* $@
$(foreach t,$(test-names),$(eval $(call logs,$(t)): $(B)/tests/$(t)))

check: $(call logs,$(check-names)) ## run all tests but the long ones
	@$(run) sum $^
check-long: $(call logs,$(check-names) $(long-tests-y)) ## run all tests
	@$(run) sum $^
check-list: ## name all tests; each runs alone by make check-NAME
	@printf '%s\n' $(check-names) $(patsubst %,'%  (long)',$(long-tests-y))
# check-i8254 runs dev/i8254, and unit/i8254 too if there is one;
# check-dev runs all of dev/ but the long ones.
define check-one
check-$(1): $(call logs,$(filter %/$(1),$(check-names) $(long-tests-y)) \
		$(filter $(1)/%,$(check-names)))
	@$$(run) sum $$^
endef
$(foreach n,$(filter-out long list,$(sort \
	$(foreach t,$(check-names) $(long-tests-y),$(notdir $(t)) \
	$(firstword $(subst /, ,$(t)))))),$(eval $(call check-one,$(n))))

bench: all $(bench-names:%=$(B)/tests/bench/%) ## measure speed: name value unit
	@$(run) bench $(bench-y)
bench-%: all $(bench-names:%=$(B)/tests/bench/%)
	@$(run) bench $*

lint: compile_commands.json $(generated) ## check style, C, scripts
	@S=$(S) B=$(B) CC='$(CC)' $(S)/tools/lint
lint-%: compile_commands.json $(generated)
	@S=$(S) B=$(B) CC='$(CC)' $(S)/tools/lint $*
format: ## clang-format in place: F='files', else all C files
	@cd $(S) && clang-format -i $(or $(F),`git ls-files '*.c' '*.h'`)

# One entry an object, so that editors and clang-tidy see the true flags.
cc-entry = {"directory": "$(CURDIR)", "file": "$(abspath $(2))", "command": \
	"$(subst ",\",$(CC) $(1) $(CFLAGS)) -c $(abspath $(2))"},
cc-file = $(wildcard $(1:$(B)/%.o=$(S)/%.c))
cc-entries = $(foreach o,$(objs),$(if $(call cc-file,$(o)),$(call cc-entry,$(if \
	$(filter $(plugin-objs),$(o)),$(PLUGIN_CPPFLAGS),$(CPPFLAGS)),$(call \
	cc-file,$(o)))))
compile_commands.json: $(B)/compile_commands.json ## for editors and clang-tidy
$(B)/compile_commands.json: $(B)/.flags $(MAKEFILE_LIST)
	$(file >$@,[$(cc-entries))
	$(call say,GEN)sed -i -e 's/\t/ /g' -e 's/},$$/}]/' -e 's/}, *{/},\n{/g' $@

# --- install ---------------------------------------------------------------

pkglib = $(DESTDIR)$(libdir)/backplane/plugins
put = mkdir -p $(2) && install -m $(1) $(3) $(2)
headers = $(wildcard $(S)/include/backplane/*.h)
manuals = $(foreach n,1 5 7,$(wildcard $(S)/docs/man/*.$(n)))
install: all install-dev ## install into DESTDIR
	$(if $(program),$(call put,755,$(DESTDIR)$(bindir)/,$(program)))
	$(foreach p,$(plugins-y),$(call put,644,$(pkglib)/$(dir $(p)),\
		$(B)/plugins/$(p).so) &&) :
	$(if $(firmware),$(call put,644,$(DESTDIR)$(datadir)/backplane/firmware/,\
		$(firmware)))
	$(foreach m,$(manuals),$(call put,644,\
		$(DESTDIR)$(mandir)/man$(subst .,,$(suffix $(m)))/,$(m)) &&) :
install-dev: ## install what plugin authors need: headers, backplane.pc
	$(call put,644,$(DESTDIR)$(includedir)/backplane/,$(headers) \
		$(S)/include/backplane/COPYING)
	mkdir -p $(DESTDIR)$(libdir)/pkgconfig
	sed -e 's|@prefix@|$(prefix)|' -e 's|@includedir@|$(includedir)|' \
		-e 's|@libdir@|$(libdir)|' -e 's|@VERSION@|$(VERSION)|' \
		$(S)/include/backplane.pc.in \
		>$(DESTDIR)$(libdir)/pkgconfig/backplane.pc
uninstall: ## remove what install put there
	rm -f $(DESTDIR)$(bindir)/backplane \
		$(DESTDIR)$(libdir)/pkgconfig/backplane.pc $(foreach m,$(manuals),\
		$(DESTDIR)$(mandir)/man$(subst .,,$(suffix $(m)))/$(notdir $(m)))
	rm -rf $(DESTDIR)$(libdir)/backplane $(DESTDIR)$(datadir)/backplane \
		$(DESTDIR)$(includedir)/backplane

clean: ## remove what make made
	rm -rf $(addprefix $(B)/,backplane libcore.a core hwaccel ui plugins \
		firmware tests tools .flags compile_commands.json)
distclean: clean ## remove what configure made too
	rm -f $(addprefix $(B)/,config.mak config.h config.log config.status bench.tsv)
	@[ $(B) != $(CURDIR) ] || rm -f $(B)/Makefile
	@rmdir $(B) 2>/dev/null || :
help: ## print this list
	@echo 'make [B=build-folder] [V=1] TARGET'
	@sed -n 's/^\([a-z_.-]*\):.*## \(.*\)/  \1\t\2/p' $(S)/Makefile | \
		expand -t 25
	@echo '  check-NAME lint-NAME   one test or check, or one folder of tests'
	@echo '  bench-NAME             one benchmark'

.PHONY: all check check-long check-list bench lint format install install-dev \
	uninstall clean distclean help force compile_commands.json
-include $(wildcard $(patsubst %.o,%.d,$(objs) $(firmware-objs)) $(B)/tools/*.d)
