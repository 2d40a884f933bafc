output "service_name" {
  description = "The ECS service."
  value       = aws_ecs_service.app.name
}

output "target_group_arn" {
  description = "The target group."
  value       = aws_lb_target_group.app.arn
}
