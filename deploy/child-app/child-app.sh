#!/usr/bin/env bash
# Runs Terraform for one child app, inside a build that has passed the gate. The buildspec calls it three times:
#
#   prepare   have Terraform and its backend ready, and bring back a state that an earlier build could not save
#   run       terraform apply or destroy, as ACTION says
#   rescue    put away a state that Terraform could not save
#
# It relies on the gate in one point: past it there is no other running build of this app, so a lock that an
# earlier build left behind has no owner any more. Never call it in a build that has not passed the gate.
#
# Values reach Terraform through the environment only (TF_VAR_...) and no command line is ever put together
# from them. Every variable and exit code is explained in README.md beside this file.
set -euo pipefail

export AWS_PAGER='' TF_IN_AUTOMATION=1 TF_INPUT=0

say() {
  printf 'child-app: %s\n' "$*" >&2
}

fail() {
  say "$*"
  exit 1
}

: "${ACTION:?apply or destroy}" "${HOST_NAME:?}" "${RESOURCE_NAME:?}" "${INSTANCE_ID:?}" "${STATE_BUCKET:?}"
[[ $HOST_NAME =~ ^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$ ]] || fail 'HOST_NAME is not a host name'
[[ $ACTION == apply || $ACTION == destroy ]] || fail 'ACTION is neither apply nor destroy'

module_dir=${MODULE_DIR:-.}
state_key=${STATE_PREFIX:-child-apps}/$HOST_NAME/terraform.tfstate
state_region=${STATE_REGION:-${AWS_REGION:-${AWS_DEFAULT_REGION:?}}}
# CodeBuild may let a stopped container live on for up to a minute. Whoever waits longer than that for the lock
# meets only locks whose owner is gone, or is no build of ours.
lock_flags=(-no-color "-lock-timeout=${LOCK_WAIT_SECS:-90}s")
# Terraform names the owner of a lock like this.
who=$(id -un)@$(uname -n)

lock=s3://$STATE_BUCKET/$state_key.tflock
builders=s3://$STATE_BUCKET/$state_key.builders
rescued=s3://$STATE_BUCKET/$state_key.errored

export TF_VAR_host_name=$HOST_NAME TF_VAR_resource_name=$RESOURCE_NAME TF_VAR_instance_id=$INSTANCE_ID
export TF_VAR_user_id=${USER_ID:-} TF_VAR_app=${APP:-} TF_VAR_spec_hash=${SPEC_HASH:-}

tf() {
  terraform -chdir="$module_dir" "$@"
}

# The standard images carry no Terraform. It is taken from a bucket of yours, so that what runs with the build's
# rights is what you have put there, and checked against a digest that you have written down.
install_terraform() {
  : "${TERRAFORM_ZIP:?set it to s3://bucket/terraform_VERSION_linux_ARCH.zip, or use an image with terraform}"
  : "${TERRAFORM_SHA256:?set it to the SHA-256 of that file}"
  local dir
  dir=$(mktemp -d)
  aws s3 cp --only-show-errors "$TERRAFORM_ZIP" "$dir/terraform.zip"
  echo "$TERRAFORM_SHA256  $dir/terraform.zip" | sha256sum --check --quiet
  unzip -q "$dir/terraform.zip" terraform -d "$dir"
  install -m 755 "$dir/terraform" /usr/local/bin/terraform
  rm -r "$dir"
}

# Whether an object exists; a look that fails ends the build, since "not there" would be a guess.
there() {
  local found=0
  aws s3 ls "$1" >/dev/null || found=$?
  case $found in
    0 | 1) return "$found" ;;
    *) fail "could not look for $1 (is s3:ListBucket allowed?)" ;;
  esac
}

# Runs Terraform with the lock. When the only thing in the way is a lock that an earlier build left, takes that
# lock away and tries once more; a failure to get the lock has changed nothing yet.
with_lock() {
  local log
  log=$(mktemp)
  if tf "$@" 2>&1 | tee "$log"; then
    return 0
  fi
  grep -q 'Error acquiring the state lock' "$log" || return 1
  remove_lock_left_behind || return 1
  tf "$@"
}

remove_lock_left_behind() {
  local held id owner
  held=$(aws s3 cp --only-show-errors "$lock" -) || {
    say 'the lock is gone or cannot be read'
    return 1
  }
  id=$(sed -n 's/.*"ID": *"\([^"]*\)".*/\1/p' <<<"$held")
  owner=$(sed -n 's/.*"Who": *"\([^"]*\)".*/\1/p' <<<"$held")
  # Only the builders' own record tells a dead build's lock from that of a person at work.
  if [[ -z $id || -z $owner ]] || ! grep -qxF -- "$owner" <<<"$earlier_builders"; then
    say "the state is locked by ${owner:-someone unknown}, which is no earlier build of this app"
    return 1
  fi
  say "removing the lock $id that the build container $owner left behind"
  tf force-unlock -no-color -force "$id"
}

# Remembers, beside the state, which containers have worked on it. Called past the gate only, so there is one
# writer at a time.
sign_in() {
  if there "$builders"; then
    earlier_builders=$(aws s3 cp --only-show-errors "$builders" - | tail -n 50)
  fi
  printf '%s\n' "$earlier_builders" "$who" | awk 'NF && !seen[$0]++' | aws s3 cp --only-show-errors - "$builders"
}

# Going on without a state that Terraform could not save would build everything a second time.
bring_back_rescued_state() {
  there "$rescued" || return 0
  say "an earlier build could not save its state; bringing it back from $rescued"
  aws s3 cp --only-show-errors "$rescued" "$module_dir/rescued.tfstate"
  with_lock state push "${lock_flags[@]}" rescued.tfstate ||
    fail "the rescued state does not follow the saved one: compare them, then delete $rescued"
  aws s3 rm --only-show-errors "$rescued"
  rm "$module_dir/rescued.tfstate"
}

prepare() {
  command -v terraform >/dev/null || install_terraform
  terraform version
  sign_in
  tf init -no-color -reconfigure \
    -backend-config="bucket=$STATE_BUCKET" -backend-config="key=$state_key" \
    -backend-config="region=$state_region" -backend-config=encrypt=true -backend-config=use_lockfile=true
  bring_back_rescued_state
}

run() {
  sign_in
  with_lock "$ACTION" "${lock_flags[@]}" -auto-approve -input=false
}

rescue() {
  [[ -f $module_dir/errored.tfstate ]] || return 0
  say "Terraform could not save its state; putting it away at $rescued for the next build"
  aws s3 cp --only-show-errors "$module_dir/errored.tfstate" "$rescued"
}

earlier_builders=
case ${1:-} in
  prepare | run | rescue) "$1" ;;
  *) fail 'usage: child-app.sh prepare|run|rescue' ;;
esac
