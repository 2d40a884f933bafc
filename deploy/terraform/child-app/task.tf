# The task definition that all apps of this entry share, so that no build registers one or passes a role. What differs
# from app to app has to come to it by its host name.

resource "aws_security_group" "apps" {
  name        = "${var.name}-apps"
  description = "Child apps"
  vpc_id      = var.network.vpc_id
  tags        = var.tags
}

resource "aws_vpc_security_group_ingress_rule" "balancer" {
  security_group_id            = aws_security_group.apps.id
  description                  = "The load balancer"
  ip_protocol                  = "tcp"
  from_port                    = var.container.port
  to_port                      = var.container.port
  referenced_security_group_id = var.load_balancer.security_group_id
  tags                         = var.tags
}

resource "aws_vpc_security_group_egress_rule" "https" {
  security_group_id = aws_security_group.apps.id
  description       = "The image, the log, and what apps ask for"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
  cidr_ipv4         = "0.0.0.0/0"
  tags              = var.tags
}

resource "aws_iam_role" "task" {
  for_each    = toset(["task", "execution"])
  name        = "${var.name}-${each.key}"
  description = each.key == "task" ? "What child apps run as; it may do nothing until you say so" : "With which ECS starts child apps: image and log"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "ecs-tasks.amazonaws.com" }
      Condition = { StringEquals = { "aws:SourceAccount" = local.account } }
    }]
  })
  tags = var.tags
}

resource "aws_iam_role_policy" "execution" {
  name = "start"
  role = aws_iam_role.task["execution"].id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [{
        Sid      = "Logs"
        Effect   = "Allow"
        Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
        Resource = "arn:${local.partition}:logs:${local.here}:log-group:${local.apps_group}:*"
      }],
      [for arns in [{ list = var.container.repository_arns }] : {
        Sid      = "Images"
        Effect   = "Allow"
        Action   = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
        Resource = arns.list
      } if length(arns.list) > 0],
      [for arns in [{ list = var.container.repository_arns }] : {
        # AWS: a login to the registry knows no resource.
        Sid      = "Login"
        Effect   = "Allow"
        Action   = ["ecr:GetAuthorizationToken"]
        Resource = "*"
      } if length(arns.list) > 0],
    )
  })
}

resource "aws_ecs_task_definition" "app" {
  #checkov:skip=CKV_AWS_336:Whether an app can live with a read-only root is for container.read_only to say; it is the default.
  family                   = var.name
  requires_compatibilities = ["FARGATE"]
  network_mode             = "awsvpc"
  cpu                      = var.container.cpu
  memory                   = var.container.memory
  task_role_arn            = aws_iam_role.task["task"].arn
  execution_role_arn       = aws_iam_role.task["execution"].arn
  # Services that were deployed with an older revision go on with it until their next build.
  skip_destroy = true
  tags         = var.tags

  container_definitions = jsonencode([{
    name                   = var.container.name
    image                  = var.container.image
    essential              = true
    readonlyRootFilesystem = var.container.read_only
    environment            = [for name, value in var.container.environment : { name = name, value = value }]
    portMappings           = [{ containerPort = var.container.port, hostPort = var.container.port, protocol = "tcp" }]
    linuxParameters        = { capabilities = { drop = ["ALL"] } }
    logConfiguration = {
      logDriver = "awslogs"
      options   = { awslogs-group = local.apps_group, awslogs-region = local.region, awslogs-stream-prefix = "app" }
    }
  }])
}
