output "project_name" {
  description = "The CodeBuild project: `project` of the catalogue entry."
  value       = aws_codebuild_project.this.name
}

output "bucket_name" {
  description = "The bucket of the states."
  value       = aws_s3_bucket.this.id
}

output "build_role_arn" {
  description = "The role that builds have."
  value       = aws_iam_role.build.arn
}

output "task_role_arn" {
  description = "The role that apps have, without any policy; attach yours."
  value       = aws_iam_role.task["task"].arn
}

output "task_definition_arn" {
  description = "The task definition that apps run."
  value       = aws_ecs_task_definition.app.arn
}

output "security_group_id" {
  description = "The security group of the apps."
  value       = aws_security_group.apps.id
}

output "environment" {
  description = "What the project sets in each build, beside what Lamplighter passes."
  value       = local.environment
}
