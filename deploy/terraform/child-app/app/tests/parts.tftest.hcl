# What an app is made of. Nothing is asked of AWS.

mock_provider "aws" {
  mock_resource "aws_lb_target_group" {
    defaults = { arn = "arn:aws:elasticloadbalancing:eu-central-1:111122223333:targetgroup/made/1" }
  }
}

variables {
  host_name          = "shop.apps.example.com"
  resource_name      = "shop-0123abcd"
  instance_id        = "ann-shop"
  cluster            = "apps"
  task_definition    = "arn:aws:ecs:eu-central-1:111122223333:task-definition/shop:1"
  container_name     = "web"
  container_port     = 8080
  vpc_id             = "vpc-1"
  subnet_ids         = ["subnet-1"]
  security_group_ids = ["sg-1"]
  listener_arn       = "arn:aws:elasticloadbalancing:eu-central-1:111122223333:listener/app/apps/1/2"
}

run "names_and_tags" {
  assert {
    condition     = aws_ecs_service.app.name == var.resource_name && aws_lb_target_group.app.name == var.resource_name
    error_message = "Lamplighter would not find the app by its name"
  }
  assert {
    condition = alltrue([
      for tags in [aws_ecs_service.app.tags, aws_lb_target_group.app.tags, aws_lb_listener_rule.app.tags] :
      tags["lamplighter:instance-id"] == "ann-shop" && tags["lamplighter:host-name"] == "shop.apps.example.com"
    ])
    error_message = "a part is without the tags"
  }
  assert {
    condition     = flatten([for part in aws_lb_listener_rule.app.condition : [for host in part.host_header : tolist(host.values)]]) == [var.host_name]
    error_message = "the rule is for another host"
  }
  assert {
    condition     = length(aws_route53_record.app) == 0
    error_message = "a record was made that nobody asked for"
  }
}

run "a_name_of_its_own" {
  variables {
    dns = { zone_id = "Z1", load_balancer_name = "apps.example.net", load_balancer_zone_id = "Z2" }
  }
  assert {
    condition     = aws_route53_record.app[0].name == "shop.apps.example.com" && one(aws_route53_record.app[0].alias).zone_id == "Z2"
    error_message = "the record does not lead from the host name to the load balancer"
  }
}
