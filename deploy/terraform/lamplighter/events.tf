# A queue with what CodeBuild and ECS tell of builds, services and tasks. The daemon does not read it: it polls, and
# needs no event. The queue is for tools of yours, so it is off unless asked for, and no role here may read it.

locals {
  queue_name  = "${var.name}-aws-events"
  dead_name   = "${var.name}-aws-events-dead"
  rule_prefix = "arn:${local.partition}:events:${local.here}:rule/${var.name}-"

  # Of builds, every state there is: AWS's own sample lists four and leaves out FAULT and TIMED_OUT, so there is no
  # filter on the status. AWS: state and phase events belong into rules of their own; phases are not needed.
  event_patterns = {
    builds = {
      source      = ["aws.codebuild"]
      detail-type = ["CodeBuild Build State Change"]
      detail      = { project-name = var.projects }
    }
    # These events have the cluster in the service's address only; not all of them have it in `detail`.
    services = {
      source      = ["aws.ecs"]
      detail-type = ["ECS Deployment State Change", "ECS Service Action"]
      resources   = [for arn in local.service_arns : { prefix = trimsuffix(arn, "*") }]
    }
    tasks = {
      source      = ["aws.ecs"]
      detail-type = ["ECS Task State Change"]
      detail      = { clusterArn = local.cluster_arns }
    }
  }
}

resource "aws_cloudwatch_event_rule" "this" {
  for_each      = { for name, pattern in local.event_patterns : name => jsonencode(pattern) if var.events }
  name          = "${var.name}-${each.key}"
  description   = "What AWS tells of ${each.key} that Lamplighter works with"
  event_pattern = each.value
  tags          = var.tags
}

resource "aws_cloudwatch_event_target" "queue" {
  for_each = aws_cloudwatch_event_rule.this
  rule     = each.value.name
  arn      = aws_sqs_queue.events[0].arn

  # An event that the queue does not take. AWS tries for a day and then, without this, drops it.
  dead_letter_config {
    arn = aws_sqs_queue.dead[0].arn
  }
}

# What was received five times and never deleted, and what EventBridge could not deliver.
resource "aws_sqs_queue" "dead" {
  count                     = var.events ? 1 : 0
  name                      = local.dead_name
  message_retention_seconds = 1209600
  sqs_managed_sse_enabled   = true
  policy                    = jsonencode(local.queue_policy[local.dead_name])
  tags                      = var.tags
}

resource "aws_sqs_queue" "events" {
  count                      = var.events ? 1 : 0
  name                       = local.queue_name
  message_retention_seconds  = 86400
  visibility_timeout_seconds = 60
  receive_wait_time_seconds  = 20
  sqs_managed_sse_enabled    = true
  policy                     = jsonencode(local.queue_policy[local.queue_name])
  redrive_policy             = jsonencode({ deadLetterTargetArn = aws_sqs_queue.dead[0].arn, maxReceiveCount = 5 })
  tags                       = var.tags
}

locals {
  queue_policy = {
    for name in [local.queue_name, local.dead_name] : name => {
      Version = "2012-10-17"
      Statement = [
        {
          Sid       = "OurRulesOnly"
          Effect    = "Allow"
          Principal = { Service = "events.amazonaws.com" }
          Action    = "sqs:SendMessage"
          Resource  = "arn:${local.partition}:sqs:${local.here}:${name}"
          Condition = { ArnEquals = { "aws:SourceArn" = [for rule in keys(local.event_patterns) : "${local.rule_prefix}${rule}"] } }
        },
        {
          Sid       = "EncryptedOnly"
          Effect    = "Deny"
          Principal = "*"
          Action    = "sqs:*"
          Resource  = "arn:${local.partition}:sqs:${local.here}:${name}"
          Condition = { Bool = { "aws:SecureTransport" = "false" } }
        },
      ]
    }
  }
}
