# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh disable=SC2154
#
# Debian packages for the guests, by a private apt: its lists, status and
# downloads are under $cache/.apt, and the machine's own apt is only read, for
# the address of its mirror and its network settings.
#
# Only the suite's main archive is used, for amd64 and i386.  Sourced by build.

apt_dir=$cache/.apt

# The machine's mirror of the suite: "URI KEYRING" (the key ring may be empty).
apt_mirror()
{
    # shellcheck disable=SC2016
    apt-get indextargets \
        --format '$(REPO_URI) $(RELEASE) $(COMPONENT) $(SIGNED_BY)' |
        while read -r uri release component keyring; do
            [ "$release $component" = "$suite main" ] || continue
            [ -e "$keyring" ] || keyring=
            printf '%s %s\n' "$uri" "$keyring"
            break
        done
}

apt_setup()
{
    mirror=$(apt_mirror)
    uri=${mirror%% *} keyring=${mirror#* }
    [ -n "$uri" ] || die "apt on this machine has no source for '$suite main'"
    if [ -z "$keyring" ]; then
        keyring=/usr/share/keyrings/debian-archive-keyring.gpg
    fi
    mkdir -p "$apt_dir/state/lists/partial" "$apt_dir/cache/archives/partial"
    : >"$apt_dir/status"
    options=arch=amd64,i386
    [ ! -e "$keyring" ] || options="$options signed-by=$keyring"
    echo "deb [$options] $uri $suite main" >"$apt_dir/sources.list"
    {
        apt-config dump | grep -E '^Acquire::(https?|Retries|Force)' || :
        cat <<END
Dir::Etc::Parts "/dev/null";
Dir::Etc::Main "/dev/null";
Dir::Etc::SourceList "$apt_dir/sources.list";
Dir::Etc::SourceParts "/dev/null";
Dir::Etc::Preferences "/dev/null";
Dir::Etc::PreferencesParts "/dev/null";
Dir::State "$apt_dir/state";
Dir::State::Status "$apt_dir/status";
Dir::Cache "$apt_dir/cache";
APT::Architecture "amd64";
APT::Architectures { "amd64"; "i386"; };
APT::Get::List-Cleanup "false";
APT::Sandbox::User "root";
Acquire::Languages "none";
END
    } >"$apt_dir/apt.conf"
}

packages_known()
{
    [ -e "$apt_dir/complete" ]
}

packages_refresh()
{
    tool apt-get apt
    say 'reading the package lists'
    rm -f "$apt_dir/complete" "$apt_dir"/version.*
    apt_setup
    APT_CONFIG=$apt_dir/apt.conf apt-get -q update >&2 ||
        die 'the package lists cannot be read'
    : >"$apt_dir/complete"
}

# package_record PACKAGE[:ARCH]: its entry in the lists.
package_record()
{
    APT_CONFIG=$apt_dir/apt.conf apt-cache show --no-all-versions "$1"
}

# package_version PACKAGE[:ARCH]: "PACKAGE VERSION", remembered between runs.
package_version()
{
    if [ ! -s "$apt_dir/version.$1" ]; then
        version=$(package_record "$1" | sed -n 's/^Version: //p')
        [ -n "$version" ] || die "no package is called '$1'"
        echo "$1 $version" >"$apt_dir/version.$1"
    fi
    cat "$apt_dir/version.$1"
}

# package_get PACKAGE[:ARCH] FOLDER: download and unpack there, or end the
# build with the status that means that the lists are old.
package_get()
{
    rm -rf deb
    mkdir deb
    (cd deb && APT_CONFIG=$apt_dir/apt.conf apt-get -q download "$1") ||
        exit "$gone"
    mkdir -p "$2"
    dpkg-deb -x deb/*.deb "$2"
    rm -rf deb
}
