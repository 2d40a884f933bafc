output "table_arns" {
  description = "The addresses of the tables: `desired`, `state` and `events`."
  value       = local.table_arns
  # Known before they are made, so that a plan shows the policies of builds in full.
  depends_on = [aws_dynamodb_table.desired, aws_dynamodb_table.state, aws_dynamodb_table.events]
}

output "policy_arns" {
  description = "The addresses of the policies: `daemon`, `portal` and `operator`."
  value = {
    daemon   = aws_iam_policy.daemon.arn
    portal   = aws_iam_policy.portal.arn
    operator = aws_iam_policy.operator.arn
  }
}

output "role_arns" {
  description = "The addresses of the roles that were made, by the same names."
  value = {
    for name, role in {
      daemon   = one(aws_iam_role.daemon[*].arn)
      portal   = one(aws_iam_role.portal[*].arn)
      operator = one(aws_iam_role.operator[*].arn)
    } : name => role if role != null
  }
}

output "log_group_name" {
  description = "The log group of the daemon."
  value       = aws_cloudwatch_log_group.daemon.name
}

output "events_queue_url" {
  description = "The queue of events; null unless `events` is set."
  value       = one(aws_sqs_queue.events[*].url)
}

output "security_group_id" {
  description = "The security group of the daemon on Fargate; null without `service`."
  value       = one([for group in aws_security_group.daemon : group.id])
}
