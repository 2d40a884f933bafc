# The project with the shipped gate, script and buildspec. The buildspec is part of the project, and the sources lie
# below a digest of their content, so nothing that is uploaded later changes what a running project does.

locals {
  shipped = "${path.module}/../../child-app"
  module  = coalesce(var.module_dir, "${path.module}/app")
  # Where a file lies in the build, and where it is now. A copy of the module that somebody has run brings more along.
  sources = merge(
    { for name in ["gate.sh", "child-app.sh"] : name => "${local.shipped}/${name}" },
    { for name in fileset(local.module, "*.{tf,tf.json,tftpl,hcl}") : "app/${name}" => "${local.module}/${name}" },
    { for name in fileset(local.module, ".terraform.lock.hcl") : "app/${name}" => "${local.module}/${name}" },
  )
  digest        = substr(sha256(join("\n", [for name, path in local.sources : "${name} ${filesha256(path)}"])), 0, 16)
  source_prefix = "sources/${local.digest}"

  environment = merge(
    {
      STATE_BUCKET   = local.bucket_name
      STATE_PREFIX   = local.state_prefix
      STATE_REGION   = local.region
      MODULE_DIR     = "app"
      LOCK_WAIT_SECS = tostring(var.lock_wait_secs)

      TF_VAR_cluster            = var.cluster
      TF_VAR_task_definition    = aws_ecs_task_definition.app.arn
      TF_VAR_container_name     = var.container.name
      TF_VAR_container_port     = tostring(var.container.port)
      TF_VAR_health_path        = var.container.health_path
      TF_VAR_vpc_id             = var.network.vpc_id
      TF_VAR_subnet_ids         = jsonencode(var.network.subnet_ids)
      TF_VAR_security_group_ids = jsonencode([aws_security_group.apps.id])
      TF_VAR_listener_arn       = var.load_balancer.listener_arn
    },
    var.terraform == null ? {} : {
      TERRAFORM_ZIP    = var.terraform.zip
      TERRAFORM_SHA256 = var.terraform.sha256
    },
    var.dns == null ? {} : {
      TF_VAR_dns = jsonencode({
        zone_id               = var.dns.zone_id
        load_balancer_name    = var.load_balancer.dns_name
        load_balancer_zone_id = var.load_balancer.zone_id
      })
    },
  )
}

resource "aws_s3_object" "source" {
  for_each    = local.sources
  bucket      = aws_s3_bucket.this.id
  key         = "${local.source_prefix}/${each.key}"
  source      = each.value
  source_hash = filesha256(each.value)
  tags        = var.tags
  depends_on  = [aws_s3_bucket_versioning.this, aws_s3_bucket_server_side_encryption_configuration.this]
}

resource "aws_codebuild_project" "this" {
  #checkov:skip=CKV_AWS_147:There is no artifact to encrypt; a key of yours is used if kms_key_arn has one.
  name           = var.name
  description    = "Lights and puts out child apps, for Lamplighter; start no builds of it by hand"
  service_role   = aws_iam_role.build.arn
  build_timeout  = 60
  queued_timeout = 480
  encryption_key = var.kms_key_arn
  tags           = var.tags

  # No retries by CodeBuild itself, which is the default: each build is one operation.
  # No limit of builds at once: CodeBuild would refuse what is over it, while Lamplighter keeps a line of its own.

  source {
    type      = "S3"
    location  = "${local.bucket_name}/${local.source_prefix}/"
    buildspec = file("${local.shipped}/buildspec.yml")
  }
  artifacts {
    type = "NO_ARTIFACTS"
  }
  environment {
    type                        = var.build.type
    compute_type                = var.build.compute_type
    image                       = var.build.image
    image_pull_credentials_type = "CODEBUILD"
    privileged_mode             = false

    dynamic "environment_variable" {
      for_each = local.environment
      content {
        name  = environment_variable.key
        value = environment_variable.value
      }
    }
  }
  logs_config {
    cloudwatch_logs {
      status     = "ENABLED"
      group_name = aws_cloudwatch_log_group.builds.name
    }
  }

  depends_on = [aws_iam_role_policy.build, aws_s3_object.source]
}
