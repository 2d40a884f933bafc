# What Lamplighter needs in one account and Region: its tables, the roles of those who work with them, and, if asked
# for, the daemon on Fargate and a queue of events. What builds need is the module ../child-app.
#
# Addresses are put together from names wherever AWS fixes their form, so that a plan shows every policy in full.

data "aws_partition" "current" {}
data "aws_caller_identity" "current" {}
data "aws_region" "current" {}

locals {
  partition = data.aws_partition.current.partition
  account   = data.aws_caller_identity.current.account_id
  region    = data.aws_region.current.name
  here      = "${local.region}:${local.account}"

  table_arns = {
    for name, table in var.tables : name => "arn:${local.partition}:dynamodb:${local.here}:table/${table}"
  }
  project_arns = [for project in var.projects : "arn:${local.partition}:codebuild:${local.here}:project/${project}"]
  cluster_arns = [for cluster in var.clusters : "arn:${local.partition}:ecs:${local.here}:cluster/${cluster}"]
  service_arns = [for cluster in var.clusters : "arn:${local.partition}:ecs:${local.here}:service/${cluster}/*"]
  task_arns    = [for cluster in var.clusters : "arn:${local.partition}:ecs:${local.here}:task/${cluster}/*"]
  log_group    = "/lamplighter/${var.name}"
}

resource "aws_cloudwatch_log_group" "daemon" {
  #checkov:skip=CKV_AWS_158:Logs hold ids and reasons, no secret; AWS encrypts them, and kms_key_arn sets a key of yours.
  name              = local.log_group
  retention_in_days = var.log_retention_days
  kms_key_id        = var.kms_key_arn
  tags              = var.tags
}
