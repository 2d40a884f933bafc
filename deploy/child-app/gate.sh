#!/bin/sh
# Asks Lamplighter's gate whether this build may go on. Run it in PRE_BUILD, before anything that can change
# the app: of all builds that were ever started for one operation, at most one gets past this line.
#
# It never starts, changes or deletes anything but the attribute `build` of one item, and it never loops for
# long. Every environment variable and exit code is explained in README.md beside this file.
#
#   0   passed: this build is the one
#   90  refused: another build is the one, or Lamplighter closed the gate, or there is no such gate
#   91  could not ask: nothing is known, so nothing may be done
set -eu

# Bounds of the asking, for tests and for unusual networks; the defaults give up after about half a minute.
attempts=${LAMPLIGHTER_GATE_ATTEMPTS:-4}
pause_secs=${LAMPLIGHTER_GATE_PAUSE_SECS:-2}

# The ranges below mean ASCII. Both major versions of the AWS CLI page or retry by themselves unless told not to; here one call is one try.
export LC_ALL=C AWS_PAGER='' AWS_MAX_ATTEMPTS=1 AWS_RETRY_MODE=standard

say() {
  printf 'lamplighter gate: %s\n' "$*" >&2
}

refuse() {
  say "refused: $*"
  exit 90
}

could_not_ask() {
  say "could not ask: $*"
  exit 91
}

# A value may only hold these characters, so none of them can end a JSON string, or be taken by the AWS CLI
# for an option or for the name of a file to read (file://, fileb://, http://).
require() {
  name=$1 value=$2 allowed=$3
  case $value in
    '') could_not_ask "the environment variable $name is not set" ;;
    -* | *://*) could_not_ask "the environment variable $name holds no usable value" ;;
  esac
  case $value in
    *[!$allowed]*) could_not_ask "the environment variable $name holds a character that is not allowed" ;;
  esac
}

# The answer only ever goes into the message: whoever may pass was decided by the conditional write alone.
explain_refusal() {
  found=$(aws dynamodb get-item --table-name "$table" --key "$key" --consistent-read \
    --cli-connect-timeout 5 --cli-read-timeout 10 \
    --query '[Item.pk.S, Item.build.S]' --output text 2>/dev/null) || {
    refuse "operation $operation: taken by another build, closed, or missing (the gate could not be read)"
  }
  tab=$(printf '\t')
  pk=${found%%"$tab"*} holder=${found#*"$tab"}
  case $pk:$holder in
    None:*) refuse "operation $operation has no gate: it is unknown to Lamplighter, or long over" ;;
    *:closed) refuse "operation $operation was closed by Lamplighter: it was cancelled or replaced" ;;
    *:None) refuse "operation $operation: the gate changed while it was asked" ;;
    *) refuse "operation $operation was taken by build $holder; this is build $me" ;;
  esac
}

table=${LAMPLIGHTER_STATE_TABLE:-} operation=${LAMPLIGHTER_OPERATION_ID:-} me=${CODEBUILD_BUILD_ID:-}
require LAMPLIGHTER_STATE_TABLE "$table" 'A-Za-z0-9_.:/-'
require LAMPLIGHTER_OPERATION_ID "$operation" 'A-Za-z0-9_.:-'
require CODEBUILD_BUILD_ID "$me" 'A-Za-z0-9_.:/-'
[ "$me" != closed ] || could_not_ask 'the environment variable CODEBUILD_BUILD_ID holds no usable value'
command -v aws >/dev/null 2>&1 || could_not_ask 'the AWS CLI (aws) is not installed in this image'

key="{\"pk\": {\"S\": \"gate#$operation\"}}"
attempt=1
while :; do
  # `build = :me` lets a second try pass when the answer to the first one was lost on its way.
  if answer=$(aws dynamodb update-item --table-name "$table" --key "$key" \
    --update-expression 'SET #build = :me' \
    --condition-expression 'attribute_exists(#pk) AND (attribute_not_exists(#build) OR #build = :me)' \
    --expression-attribute-names '{"#pk": "pk", "#build": "build"}' \
    --expression-attribute-values "{\":me\": {\"S\": \"$me\"}}" \
    --cli-connect-timeout 5 --cli-read-timeout 10 2>&1); then
    say "passed: operation $operation is carried out by this build, $me"
    exit 0
  fi
  case $answer in
    *ConditionalCheckFailedException*) explain_refusal ;;
    *ResourceNotFoundException*) could_not_ask "the table $table does not exist in this account and Region" ;;
    *AccessDeniedException*) could_not_ask "the build's role may not update gate# items of $table: $answer" ;;
    *ValidationException*) could_not_ask "DynamoDB rejects the request: $answer" ;;
  esac
  [ "$attempt" -lt "$attempts" ] || could_not_ask "no answer after $attempt tries, the last one: $answer"
  say "try $attempt of $attempts failed, the next one follows in $pause_secs s: $answer"
  sleep "$pause_secs"
  attempt=$((attempt + 1)) pause_secs=$((pause_secs * 2))
done
