#!/bin/sh
# vtsask SECONDS COMMAND...: posts a command of vtspolicy from OSS, waits for its final notice, and ends with
# its completion code (0 COMPLETED, 1 WARNING, 2 failed or refused, 3 not known). Example:
#   vtsask 3600 "VTSPolicy DSK 'archive /VAULT01/PAYROLL/A00017 ref=payroll-17'"
#
# It was NOT run on a host, nor on the simulated one, which has no OSS; its line of TACL was run there.
# Documented, by the maker's SSH manual: gtacl -c runs one line of TACL; by the TACL Reference Manual
# (429513): ~; ends a line within a line. Ours: everything else. Not known: whether gtacl ends with the
# completion code of TACL, and how long its line may be. So the code is read from what it shows, and a line of
# more than 239 characters is refused.
library=${VTSLIB:-'$SYSTEM.VTS.VTSLIB'}

refuse() {
    echo "vtsask: $1" >&2
    exit 3
}

[ $# -ge 2 ] || refuse "usage: vtsask SECONDS COMMAND"
seconds=$1
shift
case $seconds in '' | *[!0-9]*) refuse "$seconds is not a number of seconds" ;; esac
command=$*
# What acts at a prompt of TACL is refused, and so is everything but printable ASCII.
case $command in
*'['* | *']'* | *'{'* | *'}'* | *'|'* | *'~'* | *'&'* | *';'* | *'?'* | *'!'* | *'=='*)
    refuse "the command has a character that acts in TACL" ;;
esac
odd=$(printf '%s' "$command" | LC_ALL=C tr -d ' -~' | wc -c)
[ "$odd" -eq 0 ] || refuse "the command has a character that is not plain"
line="LOAD /KEEP 1/ $library ~; #OUTPUT VTSCODE=[VTSASK $seconds $command]"
[ "${#line}" -le 239 ] || refuse "the command is too long for a line of TACL"

shown=$(gtacl -c "$line")
printf '%s\n' "$shown"
code=$(printf '%s\n' "$shown" | tr -d '\r' | sed -n 's/^VTSCODE=\([0-3]\)$/\1/p' | tail -n 1)
exit "${code:-3}"
