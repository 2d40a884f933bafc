# What the builds of one catalogue entry share: the CodeBuild project with its role, the bucket of Terraform states and
# what is built from, and the task definition that all its apps run. What there is of each app is the module ./app,
# which the project's builds apply and destroy.

data "aws_partition" "current" {}
data "aws_caller_identity" "current" {}
data "aws_region" "current" {}

locals {
  partition = data.aws_partition.current.partition
  account   = data.aws_caller_identity.current.account_id
  region    = data.aws_region.current.name
  here      = "${local.region}:${local.account}"

  cluster_arn  = "arn:${local.partition}:ecs:${local.here}:cluster/${var.cluster}"
  bucket_name  = coalesce(var.bucket, "${var.name}-${local.account}-${local.region}")
  bucket_arn   = "arn:${local.partition}:s3:::${local.bucket_name}"
  build_group  = "/aws/codebuild/${var.name}"
  apps_group   = "/lamplighter/apps/${var.name}"
  state_prefix = "states"
}

# What the apps of this entry write, each task in a stream of its own.
resource "aws_cloudwatch_log_group" "apps" {
  #checkov:skip=CKV_AWS_158:AWS encrypts logs; whether with a key of yours is for kms_key_arn to say.
  name              = local.apps_group
  retention_in_days = var.log_retention_days
  kms_key_id        = var.kms_key_arn
  tags              = var.tags
}

resource "aws_cloudwatch_log_group" "builds" {
  #checkov:skip=CKV_AWS_158:AWS encrypts logs; whether with a key of yours is for kms_key_arn to say.
  name              = local.build_group
  retention_in_days = var.log_retention_days
  kms_key_id        = var.kms_key_arn
  tags              = var.tags
}
