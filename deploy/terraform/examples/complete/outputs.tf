output "table_arns" {
  description = "The tables."
  value       = module.lamplighter.table_arns
}

output "role_arns" {
  description = "The roles of daemon, portal and operators, as far as they were made."
  value       = module.lamplighter.role_arns
}

output "project_name" {
  description = "The CodeBuild project."
  value       = module.shop.project_name
}

output "bucket_name" {
  description = "The bucket of the apps' states."
  value       = module.shop.bucket_name
}

output "events_queue_url" {
  description = "The queue of events, if it was asked for."
  value       = module.lamplighter.events_queue_url
}
